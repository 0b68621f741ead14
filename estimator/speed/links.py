"""Links of accelerators: to each other, and to the memory of the host.

A question, or a measured row, may name the link that it has: ``NVLink``, or PCIe by generation and lanes (``PCIe 4.0 x8``).
"""

from __future__ import annotations

import re
from dataclasses import replace

from estimator.types import Accelerator, EstimatorError

#: Peak of one lane in one direction, bytes/s, by generation (PCI-SIG; 128b/130b coding from 3.0 on).
PCIE_LANE_BYTES_S: dict[int, float] = {1: 0.25e9, 2: 0.5e9, 3: 0.985e9, 4: 1.969e9, 5: 3.938e9, 6: 7.563e9, 7: 15.125e9}
#: Cards that an NVLink bridge of consumer and workstation cards joins.
BRIDGED_CARDS = 2
_NVLINK = re.compile(r"(?<!no )\bnvlink\b", re.IGNORECASE)
_PCIE = re.compile(r"(?:pcie\s*)?(?P<generation>[1-7])(?:\.0)?\s*x(?P<lanes>16|8|4|2|1)\b", re.IGNORECASE)
_BARE = re.compile(r"\s*(?:no nvlink|pcie)\s*", re.IGNORECASE)


def is_linked(accelerator: Accelerator) -> bool:
    """Whether several of these are taken to talk over the vendor's own link: in servers, and where a bridge is named.

    Cards with a bridge connector link two at most, and hardly any computer has the bridge.
    """
    return (accelerator.kind == "datacenter" or accelerator.bridged) and bool(accelerator.link_bytes_s)


def is_direct(accelerator: Accelerator) -> bool:
    """Whether several of these read each other's memory: over the vendor's link, or over PCIe, which drivers keep from
    consumer cards (github.com/tinygrad/open-gpu-kernel-modules changes NVIDIA's for that). Those pass everything through
    the memory of the host.
    """
    return is_linked(accelerator) or accelerator.kind in ("datacenter", "workstation")


def peer_bytes_s(accelerator: Accelerator, default_bytes_s: float) -> float:
    """Peak bandwidth between devices in one direction, bytes/s."""
    linked = accelerator.link_bytes_s if is_linked(accelerator) else None
    return linked or accelerator.pcie_bytes_s or default_bytes_s


def with_link(accelerator: Accelerator, link: str, count: int = 1) -> Accelerator:
    """``accelerator`` as one of ``count`` that are joined by ``link``: ``NVLink``, ``PCIe``, or ``PCIe 4.0 x8``.

    PCIe alone means no NVLink. Raises :class:`EstimatorError` for a link that is not known, or that the accelerator lacks.
    """
    if _NVLINK.search(link):
        if not accelerator.link_bytes_s:
            raise EstimatorError(f"{accelerator.name} has no NVLink; name its PCIe link, as 'PCIe 4.0 x8'")
        if accelerator.kind != "datacenter" and count > BRIDGED_CARDS:
            raise EstimatorError(f"an NVLink bridge joins {BRIDGED_CARDS} of {accelerator.name}, not {count}")
        return replace(accelerator, bridged=True)
    lanes = _PCIE.search(link)
    if lanes is None and not _BARE.fullmatch(link):
        raise EstimatorError(
            f"a link is 'NVLink', 'PCIe', or PCIe by generation and lanes as 'PCIe 4.0 x8', not {link!r}"
        )
    apart = replace(accelerator, link_bytes_s=None)
    if lanes is None:
        return apart
    bytes_s = PCIE_LANE_BYTES_S[int(lanes["generation"])] * int(lanes["lanes"])
    return replace(apart, pcie_bytes_s=min(bytes_s, accelerator.pcie_bytes_s or bytes_s))


def with_stated_link(accelerator: Accelerator, text: str, count: int) -> Accelerator:
    """``accelerator`` with the link that a measured row states in its own words; as it is where these name none."""
    try:
        return with_link(accelerator, text, count)
    except EstimatorError:
        return accelerator
