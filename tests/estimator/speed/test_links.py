"""Links that a question or a row names."""

from __future__ import annotations

import pytest

from estimator.speed.links import is_direct, is_linked, peer_bytes_s, with_link, with_stated_link
from estimator.types import EstimatorError
from tests.estimator.entities import ENTITIES

CARD = ENTITIES.accelerators["rtx-3090"]
SERVER = ENTITIES.accelerators["h100-sxm5-80-gb"]


@pytest.mark.parametrize(
    ("link", "bytes_s"),
    [
        ("PCIe 4.0 x8", 8 * 1.969e9),
        ("pcie 3.0 x16", 16 * 0.985e9),
        ("4.0 x4/x4", 4 * 1.969e9),
        ("PCIe 5.0 x16", 16 * 1.969e9),
    ],
)
def test_a_link_by_generation_and_lanes_is_no_quicker_than_the_card_allows(link: str, bytes_s: float) -> None:
    card = with_link(CARD, link)
    assert card.pcie_bytes_s == pytest.approx(bytes_s)
    assert peer_bytes_s(card, 1.0) == card.pcie_bytes_s


def test_a_bridge_joins_two_cards() -> None:
    assert not is_direct(CARD)
    bridged = with_link(CARD, "NVLink", 2)
    assert is_linked(bridged)
    assert is_direct(bridged)
    assert peer_bytes_s(bridged, 1.0) == CARD.link_bytes_s
    with pytest.raises(EstimatorError, match="joins 2"):
        with_link(CARD, "NVLink", 4)
    assert is_linked(with_link(SERVER, "nvlink", 8))


def test_a_server_without_the_vendors_link_talks_over_pcie() -> None:
    for link in ("PCIe", "no NVLink"):
        assert not is_linked(with_link(SERVER, link))
    assert peer_bytes_s(with_link(SERVER, "PCIe"), 1.0) == SERVER.pcie_bytes_s


@pytest.mark.parametrize("link", ["", "Infinity Fabric", "x8", "PCIe 9.0 x8"])
def test_another_link_is_refused(link: str) -> None:
    with pytest.raises(EstimatorError, match="a link is"):
        with_link(CARD, link)
    assert with_stated_link(CARD, link, 2) == CARD


def test_a_card_without_a_bridge_is_told_so() -> None:
    with pytest.raises(EstimatorError, match="has no NVLink"):
        with_link(ENTITIES.accelerators["rtx-4090"], "NVLink", 2)
