"""The server for agents, by the SDK's own client: in memory, over standard input and output, and over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from api.agents.answers import Answers
from api.agents.server import make_server
from tests.support.catalogs import CATALOG

ROOT = Path(__file__).parents[3]
SERVER = make_server(Answers(CATALOG))
TOOLS = ["compare", "fit", "recommend", "search", "what_if"]
#: Characters of a result that an agent reads without regret.
SMALL = 6_000


async def told(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    content: dict[str, Any] = result.structured_content
    text = result.content[0].text  # type: ignore[union-attr]
    assert json.loads(text) == content
    assert len(text) < SMALL
    assert content["catalog_revision"] == CATALOG.revision
    return content


async def answer(tool: str, **arguments: Any) -> dict[str, Any]:
    async with Client(SERVER) as client:
        return await told(client, tool, **arguments)


async def test_every_tool_is_described() -> None:
    async with Client(SERVER) as client:
        tools = (await client.list_tools()).tools
    assert sorted(tool.name for tool in tools) == TOOLS
    for tool in tools:
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint


async def test_search() -> None:
    content = await answer("search", text="rtx 4090", kind="gpu", limit=3)
    assert content["matches"][0]["slug"] == "rtx-4090"
    assert content["matches"][0]["memory_gb"] == 24
    assert len(content["matches"]) == 3 <= content["matching"]


async def test_fit_cites_its_evidence_and_sources() -> None:
    content = await answer("fit", model="Qwen3 32B", gpu="RTX 4090", quant="Q4_K_M")
    assert content["quant"] == "q4-k-m"
    assert content["status"].startswith("FITS")
    low, high = content["decode_range_tok_s"]
    assert low < content["decode_tok_s"] < high
    assert content["evidence"] in ("MEASURED", "CALIBRATED", "EXTRAPOLATED")
    assert "Q4_K_M" in content["command"]["text"]
    assert content["sources"]["qwen3-32b"][0] == "https://huggingface.co/Qwen/Qwen3-32B"
    assert content["sources"]["rtx-4090"]


async def test_recommend_for_named_accelerators() -> None:
    content = await answer("recommend", gpus=["RTX 4090"], workload="chat", limit=3)
    assert len(content["models"]) == 3
    assert content["pick"] in [row["model"] for row in content["models"]]
    for row in content["models"]:
        assert row["memory_bytes"] <= row["usable_bytes"]
        assert row["capability"]["low"] < row["capability"]["high"]
        assert row["reason"].endswith(".")


async def test_recommend_for_the_machine_of_the_server() -> None:
    content = await answer("recommend", limit=1, host_memory_gb=64)
    assert content["machine"]


async def test_compare_names_the_best_accelerator_of_each_model() -> None:
    content = await answer("compare", models=["Qwen3 32B", "gpt-oss 20B"], gpus=["RTX 3090", "RTX 4090"])
    assert len(content["cells"]) == 4
    assert [(row["model"], row["gpu"]) for row in content["best_gpu_of_each_model"]] == [
        ("qwen3-32b", "rtx-4090"), ("gpt-oss-20b", "rtx-4090"),
    ]  # fmt: skip


async def test_a_count_before_an_accelerator_is_kept() -> None:
    content = await answer("compare", models=["Llama 3.3 70B"], gpus=["RTX 3090", "2x RTX 3090", "2x GTX 1050 Ti"])
    assert [cell["gpu_count"] for cell in content["cells"]] == [1, 2, 2]
    one, two, _ = content["cells"]
    assert two["usable_bytes"] > 1.8 * one["usable_bytes"]
    (best,) = content["best_gpu_of_each_model"]
    assert (best["gpu"], best["gpu_count"]) == ("rtx-3090", 2)
    alone = await answer("fit", model="Llama 3.3 70B", gpu="2x RTX 3090")
    assert alone["device"] == "2 x GeForce RTX 3090"
    assert {key: alone[key] for key in ("quant", "decode_tok_s", "memory_bytes")} == {
        key: two[key] for key in ("quant", "decode_tok_s", "memory_bytes")
    }


async def test_what_if_two_cards_hold_what_one_does_not() -> None:
    content = await answer("what_if", model="Llama 3.3 70B", gpu="RTX 3090", quant="Q4_K_M", gpu_count=2)
    assert content["before"]["status"] == "FITS_WITH_OFFLOAD"
    assert content["after"]["status"].startswith("FITS")
    assert content["decode_ratio"] > 3
    assert "-sm layer" in content["after"]["command"]["text"]


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "message_part"),
    [
        ("fit", {"model": "Qwen3 32B", "gpu": "RTX 9999"}, "NOT_FOUND", "no gpu is called"),
        ("fit", {"model": "/etc/passwd.json", "gpu": "RTX 4090"}, "NOT_FOUND", "no model is called"),
        ("recommend", {"gpus": ["RTX 4090"], "workload": "poetry"}, "NOT_FOUND", "no workload is called"),
        ("compare", {"models": [], "gpus": ["RTX 4090"]}, "LIMIT_EXCEEDED", "1 to 5 are compared"),
        ("what_if", {"model": "Qwen3 8B", "gpu": "RTX 4090", "quant": "Q4_K_M"}, "BAD_USER_INPUT", "at least one"),
        (
            "what_if",
            {"model": "Qwen3 8B", "gpu": "RTX 4090", "quant": "Q4_K_M", "kv_cache_type": "Q7"},
            "BAD_USER_INPUT",
            "kv_cache_type",
        ),
        ("fit", {"model": "Qwen3 32B"}, "BAD_USER_INPUT", "gpu is missing (Accelerator: slug, name or alias"),
        ("fit", {"model": "", "gpu": "RTX 4090"}, "BAD_USER_INPUT", "model is '': String should have at least 1"),
        (
            "fit",
            {"model": "Qwen3 32B", "card": "RTX 4090"},
            "BAD_USER_INPUT",
            "'card' is unknown; fit takes model, gpu,",
        ),
        ("search", {"text": "a", "kind": "cpu"}, "BAD_USER_INPUT", "'model', 'gpu', 'quant' or 'computer'"),
        (
            "search",
            {"text": "a", "limit": 100},
            "BAD_USER_INPUT",
            "limit is '100': Input should be less than or equal to 20",
        ),
        ("recommend", {"gpus": ["RTX 4090", 3]}, "BAD_USER_INPUT", "gpus is '3': Input should be a valid string"),
        ("recommend", {"mode": "best"}, "BAD_USER_INPUT", "'balanced'"),
        ("fits", {}, "NOT_FOUND", "there are search, fit, recommend, compare, what_if"),
    ],
)
async def test_an_error_is_typed(tool: str, arguments: dict[str, Any], code: str, message_part: str) -> None:
    async with Client(SERVER) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert result.structured_content["code"] == code
    assert message_part in result.structured_content["message"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


async def test_over_standard_input_and_output() -> None:
    command = StdioServerParameters(command=sys.executable, args=["-m", "api.cli", "mcp"], env=environment())
    async with Client(command) as client:
        assert sorted(tool.name for tool in (await client.list_tools()).tools) == TOOLS
        content = await told(client, "fit", model="Qwen3 8B", gpu="RTX 3060 12GB", quant="Q4_K_M")
        assert content["status"] == "FITS"


async def test_over_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "api.cli", "mcp", "--http", "--port", str(port)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            async with Client(f"http://127.0.0.1:{port}/mcp") as client:
                content = await told(client, "search", text="Qwen3 32B")
                assert content["matches"][0]["slug"] == "qwen3-32b"
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")
