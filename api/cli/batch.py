"""`fitgraph estimate --batch`: JSON Lines in, JSON Lines out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from api.answers.files.checkpoints import FIELD as INDEX_FIELD
from api.answers.files.checkpoints import size_of_file
from api.answers.files.models import ModelSource, is_model_file, source_of_address, source_of_file
from api.answers.files.remote import RemoteFiles
from api.answers.output import as_json as answer_json
from api.answers.questions import Answerer
from api.errors import ErrorCode, QuestionError
from api.json_input import parse_json
from api.settings import get_api_settings
from db.entries.files import load_catalog
from db.imports.checkpoints.safetensors import MAX_INDEX_BYTES
from db.imports.errors import ImportFactsError
from estimator.calibration.coefficients import Calibration

#: Longest accepted line: a question is a few hundred bytes, and may bring a configuration, a header or an index along.
MAX_LINE_BYTES = MAX_INDEX_BYTES
_FLUSH_EVERY = 256


def run_batch(source: Path, sink: BinaryIO) -> int:
    """Answer each line of ``source`` in order; a line that cannot be answered gets its typed error. Returns 0."""
    answerer = Answerer(load_catalog(), Calibration.load())
    if str(source) == "-":
        _answer_lines(answerer, sys.stdin.buffer, sink)
        return 0
    try:
        with source.open("rb") as lines:
            _answer_lines(answerer, lines, sink)
    except OSError as error:
        print(f"fitgraph: cannot read {source}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def _answer_lines(answerer: Answerer, source: BinaryIO, sink: BinaryIO) -> None:
    pending: list[bytes] = []
    for line in _lines(source):
        if not line.strip():
            continue
        pending.append(orjson.dumps(answer_line(answerer, line)))
        if len(pending) >= _FLUSH_EVERY:
            sink.write(b"\n".join(pending) + b"\n")
            pending.clear()
    if pending:
        sink.write(b"\n".join(pending) + b"\n")
    sink.flush()


def _lines(source: BinaryIO) -> Iterator[bytes]:
    """The lines; of one that is too long its first bytes, more than are allowed."""
    while line := source.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = source.readline(MAX_LINE_BYTES + 1)


def answer_line(answerer: Answerer, line: bytes) -> dict[str, Any]:
    """The output object of one input line: the documented answer, or ``error`` with ``code`` and ``message``."""
    question: Any = None
    try:
        if len(line) > MAX_LINE_BYTES:
            raise _bad(f"a line may have {MAX_LINE_BYTES:,} bytes; this one has more")
        try:
            question = parse_json(line)
        except ValueError as error:
            raise _bad(f"the line is not valid JSON: {error}") from error
        if not isinstance(question, dict):
            raise _bad("a line must be one JSON object")
        return answer_json(answerer.answer(*_with_files(question)))
    except QuestionError as error:
        return error_json(error, question)


def _with_files(question: dict[str, Any]) -> tuple[dict[str, Any], ModelSource | None]:
    """The question with what its paths and its address lead to. Raises :class:`QuestionError`."""
    model, index = question.get("model"), question.get(INDEX_FIELD)
    try:
        if isinstance(index, str) and not index.lstrip().startswith("{"):
            question = {**question, INDEX_FIELD: size_of_file(Path(index))}
        if question.get("model_url") is not None:
            return question, _fetched(question["model_url"])
        if isinstance(model, str) and is_model_file(model):
            return {**question, "model": None}, source_of_file(Path(model))
    except ImportFactsError as error:
        raise QuestionError(ErrorCode.BAD_USER_INPUT, str(error), error.field) from error
    return question, None


def _fetched(address: Any) -> ModelSource:
    """The model of an address, under the same settings as the server's."""
    if not isinstance(address, str):
        raise QuestionError(ErrorCode.BAD_USER_INPUT, "'model_url' must be an https address", "model_url")
    settings = get_api_settings()
    files = RemoteFiles(settings.remote_hosts, settings.remote_max_bytes, settings.remote_timeout_s)
    return asyncio.run(source_of_address(address, files))


def error_json(error: QuestionError, question: Any) -> dict[str, Any]:
    """The error object of a question, with the names that it asked for so that answers can be matched."""
    named = question if isinstance(question, dict) else {}
    detail: dict[str, Any] = {"code": error.code.value, "message": str(error)}
    if error.field:
        detail["field"] = error.field
    if error.suggestions:
        detail["suggestions"] = list(error.suggestions)
    return {key: named.get(key) for key in ("model", "gpu", "quant") if isinstance(named.get(key), str)} | {
        "error": detail
    }


def _bad(message: str) -> QuestionError:
    return QuestionError(ErrorCode.BAD_USER_INPUT, message)
