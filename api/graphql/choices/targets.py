"""What a recommendation or a setup must reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import strawberry

from api.errors import bad_input
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.fits.inputs import within_reach
from estimator.estimate import sweep
from estimator.fit_facts import request_of
from estimator.grid import FitBlock
from estimator.judgement import recommend
from estimator.judgement.serving import MAX_STREAMS
from estimator.types import Workload

if TYPE_CHECKING:
    from api.graphql.catalog_view import CatalogView


@strawberry.input(description="What a recommendation must reach. What is left out asks for nothing.")
class RecommendationTarget:
    """Thresholds."""

    decode_tokens_per_second: float | None = strawberry.field(
        default=None, description="Least decode speed, tokens per second; with `users` that of each."
    )
    ttft_ms: float | None = strawberry.field(default=None, description="Longest time to the first token, milliseconds.")
    safe_context_tokens: int | None = strawberry.field(
        default=None, description="Least safe context, tokens; with `users` that of each."
    )
    bits_per_weight: float | None = strawberry.field(
        default=None, description="Least bits per weight of the quantization, on average over the model's weights."
    )
    users: int | None = strawberry.field(
        default=None,
        description=f"Users that are answered at once, 1 to {MAX_STREAMS:,}, each with the workload's context and with "
        "everything on the accelerator: each at the speed asked for, or at the workload's comfortable speed.",
    )


def target_of(wanted: RecommendationTarget | None) -> recommend.Target:
    """The estimator's target. Raises :class:`ApiError` for a number of users that is out of range."""
    if wanted is None:
        return recommend.Target()
    if wanted.users is not None and not 1 <= wanted.users <= MAX_STREAMS:
        raise bad_input(f"users must be 1 to {MAX_STREAMS:,}, not {wanted.users:,}.", field="users")
    decode, wait, bits = map(within_reach, (wanted.decode_tokens_per_second, wanted.ttft_ms, wanted.bits_per_weight))
    return recommend.Target(decode, wait, wanted.safe_context_tokens, bits, wanted.users)


def block_for_users(
    view: CatalogView,
    model: Model,
    gpus: Sequence[Gpu],
    quants: Sequence[Quant],
    use: Workload,
    target: recommend.Target,
    count: int = 1,
) -> FitBlock:
    """Estimates of ``count`` of each accelerator with the target's users as the batch, shape (gpus, quants, 1)."""
    devices, specs = tuple(gpu.accelerator for gpu in gpus), tuple(quant.spec for quant in quants)
    request = replace(request_of(specs[0], devices[0], view.host), gpu_count=count, batch=target.users or 1)
    return sweep(view.architecture(model), request, devices, specs, view.calibration, use)


def serving_flags(
    view: CatalogView,
    model: Model,
    gpus: Sequence[Gpu],
    quants: Sequence[Quant],
    use: Workload,
    target: recommend.Target,
) -> recommend.Flags | None:
    """Accelerators and quantizations that serve the target's users, shape (gpus, quants); None when none are asked for."""
    if target.users is None:
        return None
    return recommend.serves(block_for_users(view, model, gpus, quants, use, target), 0, target, use)
