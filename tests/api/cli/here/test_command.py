"""`fitgraph` and `fitgraph here`: the models of a recorded machine, and of this one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.app import app
from api.cli.exit_codes import NO_ANSWER

MACHINES = {path.stem: path for path in (Path(__file__).parents[3] / "data" / "machines").rglob("*.txt")}


def answer(machine: str, *words: str, number: int = 3) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["here", "--from", str(MACHINES[machine]), "--json", "-n", str(number), *words])
    assert result.exit_code == 0, result.output
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


@pytest.fixture(scope="module")
def desktop() -> dict[str, Any]:
    return answer("rtx-4090-desktop", number=10)


def test_ten_models_with_speed_memory_and_command(desktop: dict[str, Any]) -> None:
    rows = desktop["recommendations"]
    assert [row["rank"] for row in rows] == list(range(1, 11))
    for row in rows:
        assert row["decode_tok_s"] >= 10
        assert 0 < row["memory_bytes"] <= row["usable_bytes"] <= 24 * 2**30
        assert row["command"]["tool"] in ("llama-server", "Ollama")
        assert row["command"]["installed"]
        assert row["quant"].replace("-", "_").upper() in row["command"]["text"].upper()


def test_the_detected_computer_is_told(desktop: dict[str, Any]) -> None:
    assert desktop["detected"]["memory"]["channels"] == 2
    assert desktop["detected"]["memory"]["speed_mt_s"] == 6000
    assert desktop["gpus"] == ["rtx-4090"]
    assert desktop["host_bandwidth_gbps"] == 96


def test_alike_cards_are_counted() -> None:
    printed = CliRunner().invoke(app, ["here", "--from", str(MACHINES["eight-h100"]), "-n", "3"]).stdout
    assert "8 x NVIDIA H100 80GB HBM3 (79.6 GiB, 79.1 free)" in " ".join(printed.split())


def test_a_board_is_a_graphics_processor() -> None:
    printed = CliRunner().invoke(app, ["here", "--from", str(MACHINES["jetson-orin-nano"]), "-n", "1"]).stdout
    assert "no graphics processor" not in printed


def test_an_installed_engine_gives_the_command() -> None:
    rows = answer("two-rtx-3090", "--engine", "ollama")["recommendations"]
    own = [row for row in rows if row["command"]["installed"]]
    assert own
    assert {row["command"]["tool"] for row in own} == {"Ollama"}


def test_no_engine_is_taken_that_the_system_does_not_run() -> None:
    on_linux, on_windows = (
        answer("container-with-driver-files", "--system", system)["recommendations"] for system in ("Linux", "Windows")
    )
    assert "vllm" in {row["engine"] for row in on_linux}
    assert {row["engine"] for row in on_windows} == {"llama.cpp"}


def test_every_fact_can_be_stated() -> None:
    printed = answer(
        "vm-without-gpu", "--gpu", "RTX 3060 12GB", "--host-memory-gb", "128", "--memory-channels", "4", "--memory-mt-s", "3200",
        "--processor", "AMD Ryzen 9 5950X", "--free-memory-gb", "1", "--engine", "lm-studio", "--system", "Windows",
    )  # fmt: skip
    detected = printed["detected"]
    assert (detected["system"], detected["processor"]) == ("Windows", "AMD Ryzen 9 5950X")
    assert detected["engines"] == ["LM Studio"]
    assert printed["gpus"] == ["rtx-3060-12-gb"]
    assert printed["host_memory_bytes"] == 128 * 2**30
    assert printed["host_bandwidth_gbps"] == 102.4
    assert not any(row["fits_in_free_memory"] for row in printed["recommendations"])


def test_a_memory_limit_of_macos_can_be_stated() -> None:
    default, raised = (answer("macbook-m4-pro-48", *words) for words in ((), ("--wired-limit-mb", "45056")))
    assert raised["recommendations"][0]["usable_bytes"] == 45056 * 2**20
    assert default["recommendations"][0]["usable_bytes"] < 45056 * 2**20
    of_another = answer("rtx-4090-desktop", "--gpu", "M4 Pro 20-core 48GB", "--wired-limit-mb", "45056")
    assert of_another["recommendations"][0]["usable_bytes"] == 45056 * 2**20
    detected = answer("mac-studio-m3-ultra-wired", "--gpu", "M4 Pro 20-core 48GB")
    assert detected["recommendations"][0]["usable_bytes"] == default["recommendations"][0]["usable_bytes"]


@pytest.mark.parametrize(
    ("words", "message_part"),
    [
        (["--engine", "word"], "allowed are llama.cpp, ollama, lm-studio, vllm, sglang, mlx"),
        (["--gpu", "RTX 9999"], "no gpu is called"),
        (["--mode", "best"], "allowed are"),
        (["--from", "no-such-file.txt"], "no-such-file.txt"),
        (["--gpu", "RTX 3090", "--wired-limit-mb", "5000"], "no GPU of a Mac"),
        (["--gpu", "M4 Pro 20-core 48GB", "--wired-limit-mb", "99999"], "at most the memory of the Mac"),
    ],
)
def test_a_wrong_word_says_what_is_allowed(words: list[str], message_part: str) -> None:
    result = CliRunner().invoke(app, ["here", *words])
    assert result.exit_code == NO_ANSWER
    assert message_part in result.stderr


def test_no_command_is_the_list_for_this_machine() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("This machine: ")


def test_the_readme_shows_what_is_printed() -> None:
    """Every line of its example is printed, in that order, by the command that it names."""
    readme = (Path(__file__).parents[4] / "README.md").read_text()
    shown = re.findall(r"^    (.+)$", readme.split("$ fitgraph here -n 3\n")[1].split("\n\n(`")[0], re.MULTILINE)
    printed = CliRunner().invoke(app, ["here", "-n", "3", "--from", str(MACHINES["rtx-4090-desktop"])]).stdout
    lines = [line.rstrip() for line in printed.splitlines()]
    assert len(shown) > 6
    assert [line for line in lines if line in shown] == shown


def test_a_recording_of_this_machine_gives_the_same_machine(tmp_path: Path) -> None:
    file = tmp_path / "machine.txt"
    first = CliRunner().invoke(app, ["here", "--json", "-n", "1", "--record", str(file)])
    second = CliRunner().invoke(app, ["here", "--json", "-n", "1", "--from", str(file)])
    answers = [json.loads(result.stdout) for result in (first, second)]
    assert answers[0]["machine"] == answers[1]["machine"]
    assert answers[0]["detected"]["gpus"] == answers[1]["detected"]["gpus"]
