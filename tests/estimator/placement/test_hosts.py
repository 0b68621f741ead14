"""The computer that each accelerator of the catalog is assumed to sit in."""

from __future__ import annotations

import pytest

from estimator.placement.hosts import host_for
from estimator.types import EstimatorError
from tests.support.answers import CATALOG, GPUS, HOSTS, accelerator


@pytest.mark.parametrize(
    ("gpu", "host"),
    [
        ("rtx-4090", "desktop-ddr5-5600-64gb"),
        ("rtx-4090-laptop", "laptop-ddr5-5600-32gb"),
        ("radeon-890m", "laptop-ddr5-5600-32gb"),
        ("h100-sxm5-80-gb", "server-ddr5-6000-12ch-768gb"),
        ("cpu-ddr5-5600-2ch", "desktop-ddr5-5600-64gb"),
        ("cpu-tr-ddr5-5200-4ch", "workstation-ddr5-4800-8ch-256gb"),
        ("cpu-epyc-ddr5-6000-12ch", "server-ddr5-6000-12ch-768gb"),
    ],
)
def test_an_accelerator_sits_in_a_computer_of_its_sort(gpu: str, host: str) -> None:
    assert host_for(accelerator(gpu), HOSTS).slug == host


def test_shared_memory_of_a_known_size_is_the_host() -> None:
    shared = [accelerator(slug) for slug in GPUS if accelerator(slug).unified_memory]
    for device in shared:
        host = host_for(device, HOSTS)
        if device.memory_bytes is not None:
            assert (host.slug, host.memory_bytes, host.bandwidth_bytes_s) == (
                device.slug, device.memory_bytes, device.bandwidth_bytes_s
            )  # fmt: skip
        else:
            assert host.slug in CATALOG.hosts
    assert len(shared) > 100


def test_every_accelerator_has_a_host_and_a_kind_without_one_is_refused() -> None:
    assert all(host_for(accelerator(slug), HOSTS).memory_bytes > 0 for slug in GPUS)
    laptops = [host for host in HOSTS if "laptop" in host.assumed_for]
    with pytest.raises(EstimatorError, match="a device of kind consumer; those for integrated, laptop, soc are known"):
        host_for(accelerator("rtx-4090"), laptops)
