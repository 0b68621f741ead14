"""Benchmarks by recorded engines: a program on PATH, and an API on a port."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from api.errors import ErrorCode, QuestionError
from api.machine.benchmark import Timing, gguf_files, measure, of_llama_bench, of_ollama
from api.machine.probe import RecordedMachine
from estimator.types import Backend, Engine

#: What llama-bench b4549 prints with -o json, shortened by keys that are not read.
PRINTED = [
    {"build_commit": "d7d1eccac", "build_number": 4549, "gpu_info": "NVIDIA GeForce RTX 4090", "backends": "CUDA",
     "model_type": "llama 8B Q4_K - Medium", "model_size": 4912898304, "model_n_params": 8030261312, "n_gpu_layers": 99,
     "flash_attn": True, "n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ns": 41800000, "avg_ts": 12248.2, "stddev_ts": 12.1},
    {"build_commit": "d7d1eccac", "build_number": 4549, "gpu_info": "NVIDIA GeForce RTX 4090", "backends": "CUDA",
     "model_type": "llama 8B Q4_K - Medium", "n_prompt": 0, "n_gen": 128, "avg_ns": 850000000, "avg_ts": 150.6},
]  # fmt: skip


def program(folder: Path, script: str) -> str:
    path = folder / "llama-bench"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_speeds_of_llama_bench(tmp_path: Path) -> None:
    bench = program(tmp_path, f"echo \"$@\" > {tmp_path}/asked\ncat <<'END'\n{json.dumps(PRINTED)}\nEND")
    measured = of_llama_bench(bench, tmp_path / "model.gguf")
    assert (measured.engine, measured.build, measured.backend) == (Engine.LLAMA_CPP, "b4549", Backend.CUDA)
    assert measured.timings == (Timing("prefill", 512, 0, 12248.2), Timing("decode", 0, 128, 150.6))
    assert (tmp_path / "asked").read_text().split() == [
        "-m", str(tmp_path / "model.gguf"), "-p", "512", "-n", "128", "-r", "3", "-fa", "1", "-o", "json",
    ]  # fmt: skip


def test_a_failure_of_the_engine_is_told(tmp_path: Path) -> None:
    bench = program(tmp_path, "echo 'main: error: failed to load model' >&2; exit 1")
    with pytest.raises(QuestionError, match="failed to load model") as raised:
        of_llama_bench(bench, tmp_path / "model.gguf")
    assert raised.value.code is ErrorCode.UNAVAILABLE


def test_files_of_models(tmp_path: Path) -> None:
    for name, size in [("a.gguf", 300), ("tiny.gguf", 1), ("mmproj-a.gguf", 300), ("b-00001-of-00002.gguf", 300)]:
        with (tmp_path / name).open("wb") as file:
            file.truncate(size * 2**20)
    assert gguf_files([str(tmp_path), "~/no-such-folder"]) == [tmp_path / "a.gguf"]


class Ollama(BaseHTTPRequestHandler):
    """Answers as Ollama 0.5 does."""

    answers: dict[str, Any] = {
        "/api/tags": {"models": [
            {"name": "llama3.3:70b", "size": 42520413916, "details": {"quantization_level": "Q4_K_M"}},
            {"name": "llama3.1:8b", "size": 4920753328, "details": {"quantization_level": "Q4_K_M"}},
        ]},
        "/api/version": {"version": "0.5.7"},
    }  # fmt: skip
    generated: dict[str, Any] = {
        "prompt_eval_count": 500, "prompt_eval_duration": 250_000_000, "eval_count": 128, "eval_duration": 1_600_000_000,
    }  # fmt: skip

    def do_GET(self) -> None:
        self._answer(self.answers[self.path])

    def do_POST(self) -> None:
        self.server.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))  # type: ignore[attr-defined]
        self._answer(self.generated)

    def _answer(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        """Nothing is logged."""


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Ollama) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def test_speeds_of_ollama(ollama: HTTPServer) -> None:
    measured = of_ollama()
    assert measured is not None
    assert (measured.name, measured.quant, measured.build) == ("llama3.1:8b", "Q4_K_M", "0.5.7")
    assert measured.timings == (Timing("prefill", 500, 0, 2000.0), Timing("decode", 500, 128, 80.0))
    assert ollama.asked["options"]["num_predict"] == 128  # type: ignore[attr-defined]


def test_without_an_engine_the_error_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    with pytest.raises(QuestionError, match="llama-bench is not on PATH") as raised:
        measure(RecordedMachine(">>> system Linux"), None)
    assert raised.value.code is ErrorCode.UNAVAILABLE
