"""The computer that an accelerator sits in, where a question names none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from estimator.types import Accelerator, EstimatorError, Host


def host_for(accelerator: Accelerator, profiles: Sequence[Host]) -> Host:
    """The profile that is assumed for the accelerator's kind: a laptop's accelerator sits in a laptop.

    Among several profiles of one kind it is the one whose memory is nearest to the accelerator's in bandwidth: a processor
    has as many memory channels as its host. An accelerator that shares the computer's memory and
    states its size is its own host.

    Raises:
        EstimatorError: no profile is assumed for the kind.
    """
    own = [profile for profile in profiles if accelerator.kind in profile.assumed_for]
    if not own:
        known = ", ".join(sorted({kind for profile in profiles for kind in profile.assumed_for}))
        raise EstimatorError(
            f"no host profile is assumed for {accelerator.name}, a device of kind {accelerator.kind}; those for {known} are known"
        )
    bandwidth = accelerator.bandwidth_bytes_s
    nearest = own[0]
    if bandwidth is not None:
        nearest = min(own, key=lambda profile: abs(math.log(profile.bandwidth_bytes_s / bandwidth)))
    if not accelerator.unified_memory or accelerator.memory_bytes is None:
        return nearest
    return replace(
        nearest,
        slug=accelerator.slug,
        name=f"{accelerator.name}, memory of its own",
        memory_bytes=accelerator.memory_bytes,
        bandwidth_bytes_s=nearest.bandwidth_bytes_s if bandwidth is None else bandwidth,
    )
