"""The inference engine itself, in this process: what it says about a load, and what its quantizer would write."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp

from estimator.types import CacheType

MIB = 1024**2
_BUFFER = re.compile(r"^\S+: +(\S+) +(model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")
_PLANNED = re.compile(r"^\[ *\d+/ *\d+\] (\S+) +- \[.*type = +(\w+), size = +[\d.]+ MiB(?: -> +[\d.]+ MiB \((\w+)\))?")
_lines: list[str] = []


@llama_cpp.llama_log_callback
def _keep(level: int, text: bytes, user_data: ctypes.c_void_p) -> None:
    """The engine logs piecewise: text without a line end continues."""
    piece = text.decode("utf-8", "replace")
    if _lines and not _lines[-1].endswith("\n"):
        _lines[-1] += piece
    else:
        _lines.append(piece)


@contextmanager
def engine_log() -> Iterator[list[str]]:
    """Lines that the engine logs meanwhile."""
    llama_cpp.llama_backend_init()
    _lines.clear()
    llama_cpp.llama_log_set(_keep, ctypes.c_void_p(0))
    yield _lines


@dataclass(frozen=True)
class Loaded:
    """Memory of the engine after a load: exact weights, and the buffers that it logs, in MiB to two decimals.

    ``buffers`` has the sizes of each kind: model, KV, RS (recurrent state), compute, output.
    """

    weights_bytes: int
    parameters: int
    buffers: dict[str, list[float]]

    def mib(self, kind: str) -> float:
        """All buffers of a kind together."""
        return sum(self.buffers.get(kind, ()))

    def rounding_mib(self, kind: str) -> float:
        """How far :meth:`mib` may be off, because each buffer is logged to a hundredth."""
        return 0.005 * len(self.buffers.get(kind, ())) + 1e-9


def load(
    path: Path,
    *,
    context_tokens: int,
    micro_batch: int,
    cache: CacheType,
    flash_attention: bool,
    sequences: int = 1,
    all_logits: bool = True,
) -> Loaded:
    """Load a file on the CPU and make a context of it.

    Raises:
        RuntimeError: the engine refused the file or the context; the message is the end of its log.
    """
    with engine_log() as lines:
        options = llama_cpp.llama_model_default_params()
        options.n_gpu_layers = 0
        options.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
        options.use_extra_bufts = False
        model = llama_cpp.llama_model_load_from_file(os.fsencode(path), options)
        if not model:
            raise RuntimeError("".join(lines[-8:]))
        try:
            settings = llama_cpp.llama_context_default_params()
            settings.n_ctx, settings.n_batch, settings.n_ubatch = context_tokens, micro_batch, micro_batch
            settings.n_seq_max, settings.kv_unified = sequences, True
            settings.type_k = settings.type_v = getattr(llama_cpp, f"GGML_TYPE_{cache.name}")
            settings.flash_attn_type = int(flash_attention)
            settings.swa_full = False
            settings.n_outputs_max = 0 if all_logits else sequences
            settings.n_threads = settings.n_threads_batch = 1
            context = llama_cpp.llama_init_from_model(model, settings)
            if not context:
                raise RuntimeError("".join(lines[-8:]))
            matches = [match for line in lines if (match := _BUFFER.match(line))]
            buffers = {
                kind: [float(match[3]) for match in matches if match[2] == kind]
                for kind in {match[2] for match in matches}
            }
            weights, parameters = llama_cpp.llama_model_size(model), llama_cpp.llama_model_n_params(model)
            out = Loaded(int(weights), int(parameters), buffers)
            llama_cpp.llama_free(context)
        finally:
            llama_cpp.llama_model_free(model)
    return out


def _quantize_options(file_type: str, imatrix: bool) -> tuple[Any, Any]:
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_{'ALL' if file_type == 'F32' else 'MOSTLY'}_{file_type}")
    options.nthread = 2
    weight = (ctypes.c_float * 1)(1.0)
    entries = (llama_cpp.llama_model_imatrix_data * 2)()
    entries[0].name, entries[0].data, entries[0].size = b"none", weight, 1
    if imatrix:
        options.imatrix = entries
    return options, (weight, entries)


def planned_types(path: Path, file_type: str, *, imatrix: bool) -> dict[str, str]:
    """Type that the quantizer gives each tensor, by name, without writing (its dry run); empty where it writes no such file,
    because a row is too short for a type that has no fallback."""
    options, kept = _quantize_options(file_type, imatrix)
    options.dry_run = True
    with engine_log() as lines:
        failed = llama_cpp.llama_model_quantize(os.fsencode(path), os.fsencode(path.with_suffix(".none")), options)
    del kept
    matches = (_PLANNED.match(line) for line in lines)
    types = {match[1]: (match[3] or match[2]).upper() for match in matches if match}
    if failed and any("no tensor type fallback" in line for line in lines):
        return {}
    if failed or not types:
        raise RuntimeError("".join(lines[-8:]))
    return types


def quantize(path: Path, target: Path, file_type: str) -> None:
    """Write ``target`` as the engine's quantizer makes it, without importance matrix."""
    options, _ = _quantize_options(file_type, False)
    with engine_log() as lines:
        if llama_cpp.llama_model_quantize(os.fsencode(path), os.fsencode(target), options):
            raise RuntimeError("".join(lines[-8:]))
