"""Estimates for a stated build of the engine, or a stated way to start it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import nested

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUERY = "query($q: EstimateInput!) { estimate(input: $q) { memory { totalBytes } decode { tokensPerSecond } } }"
SETUP = {"model": "llama-3.1-8b", "gpu": "rtx-3090", "batch": 4, "contextTokens": 2048}


async def test_an_old_build_of_llama_cpp_reserves_more(data: Any) -> None:
    asked = SETUP | {"quant": "Q4_K_M"}
    now = (await data(QUERY, q=nested(asked)))["estimate"]
    old = (await data(QUERY, q=nested(asked | {"buildDate": "2026-01"})))["estimate"]
    assert old["memory"]["totalBytes"] > now["memory"]["totalBytes"]


async def test_an_old_build_of_vllm_is_slower(data: Any) -> None:
    asked = SETUP | {"quant": "bf16-safetensors", "engine": "VLLM"}
    now = (await data(QUERY, q=nested(asked)))["estimate"]
    old = (await data(QUERY, q=nested(asked | {"buildDate": "2024-10"})))["estimate"]
    assert old["decode"]["tokensPerSecond"] < now["decode"]["tokensPerSecond"]


async def test_a_date_that_is_none_is_refused_with_its_field(ask: Any) -> None:
    (error,) = (await ask(QUERY, q=nested(SETUP | {"quant": "Q4_K_M", "buildDate": "June"})))["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": "buildDate"}


async def test_a_split_of_matrices_is_an_input(ask: Any, data: Any) -> None:
    asked = SETUP | {"quant": "Q4_K_M", "gpuCount": 2, "batch": 1}
    layers, cut = [
        (await data(QUERY, q=nested(asked | {"splitMode": mode})))["estimate"] for mode in ("LAYER", "TENSOR")
    ]
    assert cut["decode"]["tokensPerSecond"] > layers["decode"]["tokensPerSecond"]
    (error,) = (await ask(QUERY, q=nested(asked | {"splitMode": "ROW"})))["errors"]
    assert "no row split since June 2026" in error["message"]
