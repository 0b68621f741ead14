"""Recorded machines become those of the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from api.errors import ErrorCode, QuestionError
from api.machine.description import Description, Gpu, Memory, Surroundings
from api.machine.detect import describe
from api.machine.identify import identify, stated
from api.machine.pci import names_of
from api.machine.probe import RecordedMachine
from api.machine.text import GIB
from tests.support.catalogs import CATALOG

RECORDINGS = {path.stem: path for path in (Path(__file__).parents[2] / "data" / "machines").rglob("*.txt")}
METAL, VM, CONTAINER, WSL = (
    Surroundings.METAL, Surroundings.VIRTUAL_MACHINE, Surroundings.CONTAINER, Surroundings.WSL
)  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """The machine that a recording must be taken as; memory in GiB, bandwidths in 10^9 bytes/s."""

    devices: tuple[str, ...]
    host_gb: float
    host_gbps: float
    free_gb: float | None
    around: Surroundings = METAL
    tools: tuple[str, ...] = ()
    memory_gb: float | None = None
    usable_gb: float | None = None
    device_gbps: float | None = None
    note: str | None = None


DRIVERLESS = "its driver does not answer"
MACHINES = {
    "a100-mig": Expected(("a100-sxm4-80-gb",), 1007.1, 204.8, None, memory_gb=40, device_gbps=1019.5),
    "arc-a770-xpu-smi": Expected(("arc-a770-8-gb",), 31.3, 51.2, 7.1, memory_gb=8),
    "arc-b580": Expected(("arc-b580-12-gb",), 46.6, 102.4, None, note="Intel Graphics is not in the catalog"),
    "container-with-driver-files": Expected(("l40s",), 250.8, 307.2, None, CONTAINER),
    "container-without-devices": Expected(
        ("cpu-epyc-ddr4-3200-8ch",), 32, 204.8, 28, CONTAINER, note="No device is passed into this container"
    ),
    "dgx-spark": Expected(("dgx-spark",), 121.6, 273, 113.5),
    "eight-h100": Expected(("h100-sxm5-80-gb",) * 8, 2015.6, 307.2, 632.9, tools=("vLLM",)),
    "gh200": Expected(("gh200-96-gb",), 571.8, 89.6, 95, tools=("vLLM",), memory_gb=95.6, note="89.6 GB/s is assumed"),
    "hybrid-laptop-4060": Expected(
        ("rtx-4060-laptop",), 31, 83.2, 7.8, note="Iris Xe 96 EU (2x DDR4-3200) is left out"
    ),
    "jetson-orin-nano": Expected(("jetson-orin-nano-super-8-gb",), 7.4, 102.4, 5.5),
    "laptop-780m": Expected(("radeon-780m",), 27.1, 89.6, 22.9, usable_gb=17.5),
    "mac-mini-m1-16": Expected(("apple-m1-8c-16gb",), 16, 68.2, None),
    "mac-studio-m3-ultra-wired": Expected(("apple-m3-ultra-80c-512gb",), 512, 819.2, None, usable_gb=480),
    "macbook-m4-pro-48": Expected(("apple-m4-pro-20c-48gb",), 48, 273, 17, tools=("Ollama", "MLX")),
    "mixed-3090-3060": Expected(("rtx-3090", "rtx-3060-12-gb"), 62.6, 89.6, 35.3),
    "nvidia-without-driver": Expected(("rtx-3060-12-gb",), 15.5, 42.7, None, note=DRIVERLESS),
    "pod-h200": Expected(("h200-sxm-141-gb",), 128, 358.4, 139.8, CONTAINER, ("vLLM",)),
    "raspberry-pi-5": Expected(("raspberry-pi-5",), 7.9, 17.1, 6.7, tools=("Ollama",)),
    "rocm-container": Expected(("instinct-mi300x-192-gb",), 2266.9, 460.8, 191.7, CONTAINER),
    "rtx-4090-48gb": Expected(("rtx-4090",), 250.8, 204.8, 47.5, memory_gb=48),
    "rtx-4090-desktop": Expected(("rtx-4090",), 62.5, 96, 22.5, tools=("llama-server", "Ollama"), memory_gb=24),
    "rx-7900-xt-and-rtx-3060": Expected(("rtx-3060-12-gb", "rx-7900-xt"), 62.7, 51.2, 31.2),
    "rx-7900-xtx": Expected(("rx-7900-xtx",), 31.3, 51.2, 22.6),
    "steam-deck-oled": Expected(("steam-deck-oled",), 16, 102.4, 7.6, usable_gb=9.5),
    "strix-halo-128": Expected(("strix-halo-8060s-128gb",), 128, 256, 114.4, usable_gb=108.5),
    "two-rtx-3090": Expected(("rtx-3090", "rtx-3090"), 251.7, 102.4, 47.2, tools=("vLLM",)),
    "vgpu-t4": Expected(("tesla-t4",), 31.3, 128, 7.4, VM, memory_gb=8),
    "vm-t4": Expected(("tesla-t4",), 12.7, 89.6, 14.7, VM, note="89.6 GB/s is assumed"),
    "vm-without-gpu": Expected(("cpu-ddr5-5600-2ch",), 31.3, 89.6, 28.6, VM, note="could not be read"),
    "windows-arc-140v": Expected(("arc-140v",), 31.5, 136.5, 20, tools=("Ollama",), device_gbps=136.5),
    "windows-laptop-4070": Expected(("rtx-4070-laptop",), 31.4, 102.4, 7.7, note="Radeon 780M"),
    "windows-rx-6700-xt": Expected(("rx-6700-xt",), 31.9, 57.6, None),
    "windows-snapdragon-x": Expected(("snapdragon-x-elite",), 31.5, 135.2, 20, device_gbps=135.2),
    "wsl-4070-ti-super": Expected(("rtx-4070-ti-super",), 15.5, 89.6, 14.4, WSL, ("Ollama",)),
    "wsl-without-driver": Expected(("cpu-ddr4-3200-2ch",), 15.5, 51.2, 14.1, WSL, note="through WSL"),
}


def description_of(name: str) -> Description:
    return describe(RecordedMachine(RECORDINGS[name].read_text()))


def rounded(value: float | None, unit: float) -> float | None:
    return None if value is None else round(value / unit, 1)


def test_every_recording_is_expected() -> None:
    assert set(RECORDINGS) == set(MACHINES)


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_recorded_machine(name: str) -> None:
    expected, description = MACHINES[name], description_of(name)
    identified = identify(CATALOG, description)
    machine = identified.machine
    device = machine.devices[0]
    assert tuple(part.slug for part in machine.devices) == expected.devices
    assert rounded(machine.host.memory_bytes, GIB) == expected.host_gb
    assert machine.host.bandwidth_bytes_s / 1e9 == pytest.approx(expected.host_gbps, abs=0.1)
    assert rounded(identified.free_bytes, GIB) == expected.free_gb
    assert description.surroundings is expected.around
    assert tuple(tool.value for tool in description.tools) == expected.tools
    if expected.memory_gb is not None:
        assert rounded(device.memory_bytes, GIB) == expected.memory_gb
    if expected.usable_gb is not None:
        assert rounded(device.usable_bytes, GIB) == expected.usable_gb
    if expected.device_gbps is not None:
        assert rounded(device.bandwidth_bytes_s, 1e9) == expected.device_gbps
    assert (expected.note or "") in " ".join(identified.notes)


def test_memory_of_none_is_not_known() -> None:
    assert [gpu.memory_bytes for gpu in description_of("windows-snapdragon-x").gpus] == [None]


def test_a_slice_of_a_card_has_a_share_of_its_arithmetic() -> None:
    card = stated(CATALOG, description_of("a100-mig"), ["A100 SXM4 80GB"]).machine.devices[0]
    part = identify(CATALOG, description_of("a100-mig")).machine.devices[0]
    assert part.matrix_flops == pytest.approx((card.matrix_flops or 0) * 3 / 7)
    assert part.bandwidth_bytes_s == pytest.approx((card.bandwidth_bytes_s or 0) / 2)


def test_the_processor_alone_leaves_cards_out() -> None:
    machine = identify(CATALOG, description_of("rtx-4090-desktop"), processor_alone=True).machine
    assert machine.devices[0].kind == "cpu"
    assert machine.devices[0].bandwidth_bytes_s == 96e9


def test_a_stated_accelerator_stands_in_the_detected_computer() -> None:
    identified = stated(CATALOG, description_of("rtx-4090-desktop"), ["2x RTX 3090"])
    assert [device.slug for device in identified.machine.devices] == ["rtx-3090", "rtx-3090"]
    assert identified.machine.host.bandwidth_bytes_s == 96e9


def test_of_a_stated_accelerator_nobody_is_told_how_to_have_one_detected() -> None:
    description = description_of("container-without-devices")
    assert any("container" in note for note in identify(CATALOG, description).notes)
    assert not any("container" in note for note in stated(CATALOG, description, ["RTX 4090"]).notes)


def bare(memory: Memory, *gpus: Gpu) -> Description:
    return Description("Linux", METAL, None, None, None, memory, gpus, ())


def test_an_unknown_card_is_a_typed_error_that_names_the_way_out() -> None:
    card = Gpu("nvidia", ("NVIDIA GeForce RTX 9999",), memory_bytes=24 * GIB)
    with pytest.raises(QuestionError, match=r"RTX 9999.*--gpu, or --no-gpu") as raised:
        identify(CATALOG, bare(Memory(32 * GIB), card))
    assert raised.value.code is ErrorCode.NOT_FOUND


def test_a_machine_that_tells_nothing_is_a_typed_error() -> None:
    with pytest.raises(QuestionError, match="--host-memory-gb") as raised:
        identify(CATALOG, bare(Memory(None)))
    assert raised.value.code is ErrorCode.MISSING_FACT


def test_an_unknown_system_is_a_typed_error() -> None:
    with pytest.raises(QuestionError, match="Linux, macOS and Windows") as raised:
        describe(RecordedMachine(">>> system Plan9\n"))
    assert raised.value.code is ErrorCode.UNSUPPORTED


def test_cards_that_share_a_chip_have_whole_names() -> None:
    assert names_of("Navi 31 [Radeon RX 7900 XT/7900 XTX/7900M]") == (
        "Radeon RX 7900 XT", "Radeon RX 7900 XTX", "Radeon RX 7900M",
    )  # fmt: skip
    assert names_of("Vega 10 XL/XT [Radeon RX Vega 56/64]") == ("Radeon RX Vega 56", "Radeon RX Vega 64")
    assert names_of("Opal XT/Mars [Radeon R9 M265X / M365X]") == ("Radeon R9 M265X", "Radeon R9 M365X")
