"""`fitgraph estimate` of one question: a readable card, or one JSON object."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import typer

from api.answers.files.checkpoints import FIELD as INDEX_FIELD
from api.answers.files.checkpoints import size_of_file
from api.answers.files.models import (
    ModelSource,
    is_model_file,
    quant_of_file,
    short_header,
    source_of_file,
)
from api.answers.output import as_json as answer_json
from api.answers.questions import Answerer
from api.cli.batch import error_json
from api.cli.exit_codes import NO_ANSWER
from api.errors import ErrorCode, QuestionError
from api.json_input import parse_json
from db.entries.files import load_catalog
from db.entries.names.meanings import UnknownNameError
from db.imports.errors import ImportFactsError
from estimator.calibration.coefficients import Calibration
from estimator.structure.checkpoints import has_weights

if TYPE_CHECKING:
    from api.answers.pairing import Pairing


def gpus_of(gpu: str, also: list[str] | None, count: int | None) -> list[str] | None:
    """The accelerators of a question that lists them; None where it names one kind."""
    if also and count is not None:
        raise typer.BadParameter("--count is of equal accelerators; with --also name each one")
    return [gpu, *also] if also else None


def draft_of(*options: object) -> dict[str, object] | None:
    """The draft of a question: all four of its options, or none."""
    if all(option is None for option in options):
        return None
    draft = dict(zip(("model", "quant", "tokens", "acceptance_rate"), options, strict=True))
    if draft["model"] == "mtp" and draft["quant"] is None:
        del draft["quant"]
    if None in draft.values():
        raise typer.BadParameter("a draft needs --draft, --draft-quant, --draft-tokens and --acceptance")
    return draft


def settings_of(settings: list[str] | None) -> dict[str, object]:
    """Keys of a question in their own words, as ``k_cache_type=q8_0``; a value is JSON, or else a word."""
    out: dict[str, object] = {}
    for setting in settings or ():
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise typer.BadParameter(f"--set takes KEY=VALUE, not {setting!r}")
        try:
            out[key] = parse_json(value.encode())
        except ValueError:
            out[key] = value
    return out


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
    explanation = explained(pairing, catalog, calibration)
    if as_json:
        print(orjson.dumps(pairing.to_json() | explanation.to_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        render_card(pairing, explanation)
    return 0


def run_extras(model: str, gpu: str, quant: str | None, workload: str, extra: dict[str, Any], *, as_json: bool) -> int:
    """Print one estimate with what ``extra`` asks beyond a pairing; without a quant, in the one that is best so.

    Returns 0, or 3 when there is no answer.
    """
    from api.answers.choices.machine import Machine
    from api.answers.choices.models import best_quant
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
        if INDEX_FIELD in extra:
            question[INDEX_FIELD] = size_of_file(extra[INDEX_FIELD])
        answerer = Answerer(catalog, calibration)
        if quant is None and INDEX_FIELD not in extra:
            alone = estimate_pairing(catalog, calibration, model, gpu, None, workload)
            if brought is None:
                stored = catalog.meaning("model", model).quant is not None
            else:
                stored = quant_of_file(brought, catalog) is not None
            question["quant"] = alone.quants[alone.chosen_quant].slug
            if not stored and brought is None and extra.keys() <= {"gpu_count"}:
                count = extra.get("gpu_count") or catalog.meaning("gpu", gpu).count or 1
                machine = Machine.of_equals(alone.accelerator, count, alone.host)
                workload_asked = alone.workloads[alone.chosen_workload]
                best = best_quant(catalog, calibration, alone.model_slug, machine, workload_asked)
                question["quant"] = best or question["quant"]
            elif not stored:
                question["quant"] = _best_quant(answerer, question, brought, alone) or question["quant"]
        answer = answerer.answer(question, brought)
    except (QuestionError, ImportFactsError) as error:
        problem = error
        if isinstance(problem, ImportFactsError):
            problem = QuestionError(ErrorCode.BAD_USER_INPUT, str(error), problem.field)
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
    scores: dict[str, float] = {}
    for q in alone.runnable():
        quant = alone.quants[q]
        if has_weights(quant, alone.model):
            # Several accelerators together may have no engine for what one of them runs.
            with suppress(QuestionError):
                scores[quant.slug] = answerer.answer({**question, "quant": quant.slug}, brought).estimate.score
    best = max(scores, key=lambda slug: scores[slug], default=None)
    return best if best is not None and scores[best] > 0 else None


def print_header(path: Path) -> int:
    """Print a GGUF file's header without its tokenizer, in base64. Returns 0, or 3 when it is no GGUF file."""
    try:
        print(b64encode(short_header(path)).decode())
    except ImportFactsError as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return NO_ANSWER
    return 0
