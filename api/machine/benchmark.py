"""A short benchmark of this machine: llama-bench on a GGUF file that is there, else a question to a running Ollama.

llama-bench prints a JSON list with an object a test (llama.cpp, tools/llama-bench). Ollama's API states tokens and
nanoseconds of both phases with its answer (ollama, docs/api.md).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import orjson

from api.errors import ErrorCode, QuestionError
from api.machine.probe import Probe
from api.machine.text import MIB, listed, parsed
from estimator.types import Backend, Engine

PROMPT_TOKENS, OUTPUT_TOKENS, REPETITIONS = 512, 128, 3
#: Longest time for a benchmark, seconds.
PATIENCE_S = 900
#: Smaller files hold tokenizers or projectors alone, and their speed says little.
_LEAST_BYTES = 256 * MIB
_FOLDERS = (
    "~/.cache/llama.cpp",
    "~/Library/Caches/llama.cpp",
    "~/.cache/huggingface/hub",
    "~/.lmstudio/models",
    "./models",
)
_WORDS = "The quick brown fox jumps over the lazy dog while a patient engineer counts tokens. "


@dataclass(frozen=True, slots=True)
class Timing:
    """One measured phase. ``kind`` is decode or prefill; lengths are tokens; ``tok_s`` tokens per second."""

    kind: str
    n_prompt: int
    n_gen: int
    tok_s: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """A benchmark: the model as a ``file`` or by the ``name`` that the engine knows it by, and its phases."""

    engine: Engine
    build: str | None
    backend: Backend | None
    name: str
    quant: str | None
    file: Path | None
    timings: tuple[Timing, ...]


def measure(probe: Probe, file: Path | None) -> Measurement:
    """Run the benchmark that is possible here, on ``file`` or on the smallest model that is found.

    Raises:
        QuestionError: no engine is installed that can be measured, no model is there, or the engine fails.
    """
    bench = probe.program("llama-bench")
    chosen = file or min(gguf_files(), key=lambda path: path.stat().st_size, default=None)
    if bench is not None and chosen is not None:
        return of_llama_bench(bench, chosen)
    if file is None and (measured := of_ollama()) is not None:
        return measured
    if bench is None:
        missing = "llama-bench is not on PATH, and no Ollama with a model answers"
    else:
        missing = (
            f"no GGUF file is in {', '.join(_FOLDERS)}, and no Ollama with a model answers; name one with --model-file"
        )
    raise QuestionError(ErrorCode.UNAVAILABLE, f"nothing can be measured here: {missing}", "measure")


def gguf_files(folders: Iterable[str] = _FOLDERS) -> list[Path]:
    """GGUF files of models that engines and people keep, first parts alone of split ones."""
    cache = os.environ.get("LLAMA_CACHE")
    places = [Path(folder).expanduser() for folder in ((cache, *folders) if cache else folders)]
    files = [path for place in places if place.is_dir() for path in place.rglob("*.gguf")]
    return [
        path
        for path in files
        if path.stat().st_size >= _LEAST_BYTES and "mmproj" not in path.name and "-of-" not in path.name
    ]


def of_llama_bench(program: str, file: Path) -> Measurement:
    """Prompt and output speeds of a file, as llama-bench states them. Raises :class:`QuestionError`."""
    words = [
        program,
        "-m",
        str(file),
        "-p",
        str(PROMPT_TOKENS),
        "-n",
        str(OUTPUT_TOKENS),
        "-r",
        str(REPETITIONS),
        "-fa",
        "1",
    ]
    try:
        run = subprocess.run([*words, "-o", "json"], capture_output=True, timeout=PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed("llama-bench", str(error)) from error
    rows = listed(parsed(run.stdout.decode(errors="replace")))
    timings = tuple(_timing(row) for row in rows if row.get("avg_ts"))
    if run.returncode != 0 or not timings:
        lines = run.stderr.decode(errors="replace").strip().splitlines()
        raise _failed("llama-bench", lines[-1] if lines else "it printed no result")
    first = rows[0]
    number = first.get("build_number")
    return Measurement(
        engine=Engine.LLAMA_CPP,
        build=f"b{number}" if number else first.get("build_commit"),
        backend=_backend(str(first.get("backends") or first.get("backend") or "")),
        name=str(first.get("model_type") or file.name),
        quant=None,
        file=file,
        timings=timings,
    )


def _timing(row: dict[str, Any]) -> Timing:
    prompt, output = int(row.get("n_prompt") or 0), int(row.get("n_gen") or 0)
    return Timing("decode" if output else "prefill", prompt, output, float(row["avg_ts"]))


def _backend(text: str) -> Backend | None:
    names = [name.strip().casefold() for name in text.split(",")]
    return next((backend for backend in Backend if backend.value.casefold() in names), None)


def of_ollama() -> Measurement | None:
    """Speeds of the smallest model of a running Ollama; None when none answers or it has no model.

    Raises:
        QuestionError: the model cannot be run.
    """
    known = _ollama("/api/tags", None, 2.0)
    models = sorted(listed((known or {}).get("models") or []), key=lambda model: model.get("size") or 0)
    if not models:
        return None
    model = models[0]
    options = {"num_predict": OUTPUT_TOKENS, "seed": 1, "temperature": 0}
    question = {"model": model["name"], "prompt": _WORDS * 30, "stream": False, "options": options}
    # The first answer includes the load of the model, and later ones keep the prompt: each has a start of its own.
    answers = [
        _ollama("/api/generate", question | {"prompt": f"{n} {question['prompt']}"}, PATIENCE_S) for n in range(2)
    ]
    answer = answers[-1]
    if answer is None or not answer.get("eval_duration") or not answer.get("prompt_eval_duration"):
        raise _failed("Ollama", str((answer or {}).get("error") or "it states no durations"))
    prompt, output = int(answer["prompt_eval_count"]), int(answer["eval_count"])
    version = (_ollama("/api/version", None, 2.0) or {}).get("version")
    return Measurement(
        engine=Engine.OLLAMA,
        build=version,
        backend=None,
        name=model["name"],
        quant=(model.get("details") or {}).get("quantization_level"),
        file=None,
        timings=(
            Timing("prefill", prompt, 0, prompt / answer["prompt_eval_duration"] * 1e9),
            Timing("decode", prompt, output, output / answer["eval_duration"] * 1e9),
        ),
    )


def _ollama(path: str, body: dict[str, Any] | None, patience_s: float) -> dict[str, Any] | None:
    host = os.environ.get("OLLAMA_HOST") or "127.0.0.1:11434"
    address = host if "://" in host else f"http://{host}"
    request = Request(
        address + path, None if body is None else orjson.dumps(body), {"Content-Type": "application/json"}
    )
    try:
        with urlopen(request, timeout=patience_s) as answer:
            known = parsed(answer.read().decode())
    except (OSError, URLError):
        return None
    return known if isinstance(known, dict) else None


def _failed(engine: str, reason: str) -> QuestionError:
    return QuestionError(ErrorCode.UNAVAILABLE, f"{engine} could not be measured: {reason}", "measure")
