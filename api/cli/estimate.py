"""`fitgraph estimate`: a readable card, one JSON object, or JSON Lines in and out."""

from __future__ import annotations

import asyncio
import sys
from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from api.answers.model_files import (
    ModelSource,
    is_model_file,
    quant_of_file,
    short_header,
    source_of_address,
    source_of_file,
)
from api.answers.output import as_json as answer_json
from api.answers.questions import Answerer
from api.answers.remote import RemoteFiles
from api.cli.exit_codes import NO_ANSWER
from api.errors import ErrorCode, QuestionError
from api.settings import get_api_settings
from db.entries.files import load_catalog
from db.entries.names.meanings import UnknownNameError
from db.imports.errors import ImportFactsError
from estimator.calibration.coefficients import Calibration
from estimator.structure.checkpoints import has_weights

if TYPE_CHECKING:
    from api.answers.pairing import Pairing

#: Longest accepted line: a question is a few hundred bytes, and may bring a model's configuration or header along.
MAX_LINE_BYTES = 1_100_000
_FLUSH_EVERY = 256


def make_answerer() -> Answerer:
    """An answerer over the bundled catalog files and calibration."""
    return Answerer(load_catalog(), Calibration.load())


def run_batch(source: Path, sink: BinaryIO) -> int:
    """Answer each line of ``source`` in order; a line that cannot be answered gets its typed error. Returns 0."""
    answerer = make_answerer()
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


def _answer_lines(answerer: Answerer, lines: Iterable[bytes], sink: BinaryIO) -> None:
    pending: list[bytes] = []
    for line in lines:
        if not line.strip():
            continue
        pending.append(orjson.dumps(answer_line(answerer, line)))
        if len(pending) >= _FLUSH_EVERY:
            sink.write(b"\n".join(pending) + b"\n")
            pending.clear()
    if pending:
        sink.write(b"\n".join(pending) + b"\n")
    sink.flush()


def answer_line(answerer: Answerer, line: bytes) -> dict[str, Any]:
    """The output object of one input line: the documented answer, or ``error`` with ``code`` and ``message``."""
    question: Any = None
    try:
        if len(line) > MAX_LINE_BYTES:
            raise QuestionError(
                ErrorCode.BAD_USER_INPUT, f"a line may have {MAX_LINE_BYTES} bytes; this one has {len(line)}"
            )
        try:
            question = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise QuestionError(ErrorCode.BAD_USER_INPUT, f"the line is not valid JSON: {error}") from error
        if not isinstance(question, dict):
            raise QuestionError(ErrorCode.BAD_USER_INPUT, "a line must be one JSON object")
        return answer_json(answerer.answer(question, _fetched(question.get("model_url"))))
    except QuestionError as error:
        return error_json(error, question)


def _fetched(address: Any) -> ModelSource | None:
    """What a question's address leads to, under the same settings as the server's."""
    if address is None:
        return None
    if not isinstance(address, str):
        raise QuestionError(ErrorCode.BAD_USER_INPUT, "'model_url' must be an https address", "model_url")
    settings = get_api_settings()
    files = RemoteFiles(settings.remote_hosts, settings.remote_max_bytes, settings.remote_timeout_s)
    try:
        return asyncio.run(source_of_address(address, files))
    except ImportFactsError as error:
        raise QuestionError(ErrorCode.BAD_USER_INPUT, str(error), error.field) from error


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


def run_one(model: str, gpu: str, quant: str | None, workload: str, *, as_json: bool) -> int:
    """Print the card or the JSON object of one pairing. Returns 0, or 3 when there is no answer."""
    from api.answers.explained import explained
    from api.answers.pairing import estimate_pairing
    from api.cli.card import render_card

    catalog, calibration = load_catalog(), Calibration.load()
    with suppress(UnknownNameError):
        if (catalog.meaning("gpu", gpu).count or 1) > 1:
            return run_extras(model, gpu, quant, workload, {}, as_json=as_json)
    try:
        pairing = estimate_pairing(catalog, calibration, model, gpu, quant, workload)
    except QuestionError as error:
        if as_json:
            print(orjson.dumps(error_json(error, {"model": model, "gpu": gpu, "quant": quant})).decode())
        else:
            print(f"fitgraph: {error}", file=sys.stderr)
        return NO_ANSWER
    told = explained(pairing, catalog, calibration)
    if as_json:
        print(orjson.dumps(pairing.to_json() | told.to_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        render_card(pairing, told)
    return 0


def run_extras(model: str, gpu: str, quant: str | None, workload: str, extra: dict[str, Any], *, as_json: bool) -> int:
    """Print one estimate with what ``extra`` asks beyond a pairing; without a quant, in the one that is best so.

    Returns 0, or 3 when there is no answer.
    """
    from api.answers.pairing import estimate_pairing
    from api.cli.card import render_answer

    catalog, calibration = load_catalog(), Calibration.load()
    question = {"model": model, "quant": quant, "workload": workload, **extra}
    if "gpus" not in extra:
        question["gpu"] = gpu
    try:
        brought = source_of_file(Path(model)) if is_model_file(model) else None
        if brought is not None:
            del question["model"]
        answerer = Answerer(catalog, calibration)
        if quant is None:
            alone = estimate_pairing(catalog, calibration, model, gpu, None, workload)
            stored = brought is not None and quant_of_file(brought, catalog) is not None
            question["quant"] = alone.quants[alone.chosen_quant].slug
            if not stored:
                question["quant"] = _best_quant(answerer, question, brought, alone) or question["quant"]
        answer = answerer.answer(question, brought)
    except (QuestionError, ImportFactsError) as error:
        problem = error if isinstance(error, QuestionError) else QuestionError(ErrorCode.BAD_USER_INPUT, str(error))
        if as_json:
            print(orjson.dumps(error_json(problem, question)).decode())
        else:
            print(f"fitgraph: {problem}", file=sys.stderr)
        return NO_ANSWER
    if as_json:
        print(orjson.dumps(answer_json(answer), option=orjson.OPT_INDENT_2).decode())
    else:
        render_answer(answer)
    return 0


def _best_quant(
    answerer: Answerer, question: Mapping[str, Any], brought: ModelSource | None, alone: Pairing
) -> str | None:
    """The quantization with the highest score, the wider one on a tie, of those with known weights; None: none runs."""
    found: dict[str, float] = {}
    for q in alone.runnable():
        quant = alone.quants[q]
        if has_weights(quant, alone.model):
            # Several accelerators together may have no engine for what one of them runs.
            with suppress(QuestionError):
                found[quant.slug] = answerer.answer({**question, "quant": quant.slug}, brought).estimate.score
    best = max(found, key=lambda slug: found[slug], default=None)
    return best if best is not None and found[best] > 0 else None


def print_header(path: Path) -> int:
    """Print a GGUF file's header without its tokenizer, in base64. Returns 0, or 3 when it is no GGUF file."""
    try:
        print(b64encode(short_header(path)).decode())
    except ImportFactsError as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return NO_ANSWER
    return 0
