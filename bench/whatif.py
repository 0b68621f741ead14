"""Free questions in one process: `python -m bench.whatif`.

The bench prints the median CPU time of each kind of question as a share of the 5 ms that an answer may take, and its ratio to
a plain question of the catalog. It also prints the ratio of 1,000 requests with one question to one request with 1,000. No
question is asked twice.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from api.answers.questions import Answerer
from api.server.app import create_app
from api.settings import ApiSettings
from db.entries.files import load_catalog
from db.session import upgrade_database
from estimator.calibration.coefficients import Calibration
from tests.support.gguf_files.files import llama

BUDGET_S = 0.005
ASKED = 60
BATCH = 1000
REQUESTS = 100
_NUMBER = count(4096)
CONFIG: dict[str, Any] = {
    "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 48,
    "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151936, "num_experts": 128,
    "num_experts_per_tok": 8, "moe_intermediate_size": 768, "max_position_embeddings": 40960,
}  # fmt: skip
CARD: dict[str, Any] = {
    "memory_gb": 24, "bandwidth_gbps": 900.0, "fp16_tensor_tflops": 71.0, "engines": ["cuda"], "vendor": "nvidia",
    "compute_capability": "8.6",
}  # fmt: skip
MANY = "query($q: [EstimateInput!]!) { estimates(inputs: $q) { error { code } estimate { status ttftMs score } } }"


def kinds() -> dict[str, Callable[[], dict[str, Any]]]:
    """Makers of questions by kind; each call makes a new question."""

    def plain(**changes: Any) -> dict[str, Any]:
        base = {"model": "qwen3-32b", "gpu": "rtx-3090", "quant": "q4-k-m", "context_tokens": next(_NUMBER)}
        return {key: value for key, value in (base | changes).items() if value is not None}

    mixed = {"gpu": None, "gpus": ["rtx-3090", "rtx-4060-ti-16-gb"]}
    draft = {"model": "qwen3-0.6b", "quant": "q8-0", "tokens": 4, "acceptance_rate": 0.6}
    return {
        "catalog": plain,
        "offload": lambda: plain(model="qwen3-235b-a22b", gpu="rtx-3090", host_memory_gb=256),
        "own configuration": lambda: plain(model=None, model_config={**CONFIG, "vocab_size": 150_000 + next(_NUMBER)}),
        "own GGUF header": lambda: plain(
            model=None, quant=None, model_gguf=b64encode(llama(48, **{"general.note": next(_NUMBER)})).decode()
        ),
        "own accelerator": lambda: plain(gpu=None, gpu_facts={**CARD, "bandwidth_gbps": 500.0 + next(_NUMBER) / 10}),
        "mixed accelerators": lambda: plain(**mixed),
        "draft model": lambda: plain(draft=draft),
        "mixed, with a draft": lambda: plain(**mixed, draft=draft),
    }


def measure(answerer: Answerer) -> Iterator[tuple[str, float]]:
    """Median CPU seconds of each kind."""
    for name, make in kinds().items():
        questions = [make() for _ in range(ASKED + 1)]
        answerer.answer(questions.pop())
        seconds = []
        for question in questions:
            began = time.process_time()
            answerer.answer(question)
            seconds.append(time.process_time() - began)
        yield name, statistics.median(seconds)


async def batch() -> float:
    """The CPU time of a question in a request of its own over that in a batch of 1,000."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ApiSettings(state_dir=Path(folder))
        upgrade_database(settings.resolved_database_url)
        app = create_app(settings, load_catalog())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench") as client:

            async def ask(number: int) -> float:
                questions = [
                    {
                        "model": {"slug": "qwen3-32b"},
                        "machine": {"gpu": "rtx-3090"},
                        "quant": "q4-k-m",
                        "contextTokens": next(_NUMBER),
                    }
                    for _ in range(number)
                ]
                began = time.process_time()
                response = await client.post("/graphql", json={"query": MANY, "variables": {"q": questions}})
                spent = time.process_time() - began
                answers = response.json()["data"]["estimates"]
                if len(answers) != number or any(answer["error"] for answer in answers):
                    raise SystemExit(f"the batch was refused: {response.text[:300]}")
                return spent

            await ask(1)
            together = await ask(BATCH) / BATCH
            alone = statistics.median([await ask(1) for _ in range(REQUESTS)])
            print(f"a batch of {BATCH:,}: {BATCH * together:.2f} s of CPU")
        await app.state.services.close()
        return alone / together


def main() -> None:
    seconds_by_kind = dict(measure(Answerer(load_catalog(), Calibration.load())))
    for name, seconds in seconds_by_kind.items():
        share, ratio = seconds / BUDGET_S, seconds / seconds_by_kind["catalog"]
        print(f"{name:22} {share:6.0%} of {BUDGET_S * 1000:.0f} ms, {ratio:5.1f} times the catalog's")
    print(f"one by one over batch: {asyncio.run(batch()):.1f} times the CPU time")


if __name__ == "__main__":
    main()
