"""`fitgraph here --measure`: a short benchmark beside its estimate, and its rows as a file to contribute."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from api.answers.choices.machine import meant
from api.answers.files.models import quant_of_file, source_of_file, stored_quant
from api.answers.files.recognition import recognised
from api.cli.card import speed_text
from api.cli.here.answer import Facts, machine_here, with_facts
from api.errors import ErrorCode, QuestionError
from api.machine.benchmark import Measurement, Timing, measure
from api.machine.description import Description
from api.machine.detect import describe, this_machine
from api.machine.identify import Identified
from api.machine.text import GIB
from db.entries import specs
from db.entries.files import Catalog, load_catalog
from db.imports.errors import ImportFactsError
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.fit_facts import request_of
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Estimate, EstimatorError, Quant, Speed

#: The source that a row states.
SOURCE = "contributed by the owner of the machine: fitgraph here --measure"


@dataclass(frozen=True, slots=True)
class Compared:
    """One measured phase and the estimate of the same work; None where it has no estimate."""

    timing: Timing
    estimate: Speed | None

    @property
    def ratio(self) -> float | None:
        """Measured over estimated."""
        return None if self.estimate is None else self.timing.tok_s / self.estimate.value


@dataclass(frozen=True, slots=True)
class Report:
    """A benchmark with its estimates, and its rows in the form of the catalog's measurements."""

    machine: str
    model: str
    quant: str
    compared: tuple[Compared, ...]
    rows: tuple[dict[str, Any], ...]


def measured(facts: Facts, file: Path | None) -> Report:
    """Measure this machine, and estimate the same.

    Raises:
        QuestionError: nothing can be measured here, or the model of the file is not understood.
    """
    probe = this_machine()
    catalog = load_catalog()
    description = with_facts(describe(probe), facts)
    identified = machine_here(catalog, description, facts)
    measurement = measure(probe, file)
    calibration = Calibration.load()
    model, quant = _model_of(catalog, calibration, measurement)
    compared = tuple(
        Compared(timing, _speed(_estimate(calibration, identified, measurement, model, quant, timing), timing))
        for timing in measurement.timings
    )
    rows = tuple(
        _row(catalog, description, facts, identified, measurement, model, quant, timing)
        for timing in measurement.timings
    )
    return Report(identified.machine.name, measurement.name, quant.name, compared, rows)


def _model_of(catalog: Catalog, calibration: Calibration, measurement: Measurement) -> tuple[ModelArchitecture, Quant]:
    """Structure and quantization of what was measured. Raises :class:`QuestionError`."""
    if measurement.file is None:
        meaning = meant(catalog, "model", measurement.name)
        slug = meant(catalog, "quant", measurement.quant or meaning.quant or "").slug
        return specs.architecture(catalog.models[meaning.slug]), specs.quant(catalog.quants[slug])
    try:
        named = _named(catalog, measurement)
        brought = source_of_file(measurement.file)
        if named is not None:
            brought = replace(brought, repository=catalog.models[named]["hf_repo"])
        source = recognised(brought, catalog, calibration, lambda slug: specs.architecture(catalog.models[slug]))
        own = quant_of_file(source, catalog)
    except (ImportFactsError, EstimatorError) as error:
        raise QuestionError(ErrorCode.BAD_USER_INPUT, f"{measurement.file}: {error}", "model-file") from error
    if own is None:
        raise QuestionError(
            ErrorCode.UNSUPPORTED,
            f"{measurement.file}: the file type {source.file_type} is not in the catalog",
            "model-file",
        )
    return source.model, stored_quant(specs.quant(catalog.quants[own]), source)


def _named(catalog: Catalog, measurement: Measurement) -> str | None:
    """Slug of the model that the name of the file means, or that which the engine gives; None when it means none."""
    try:
        return meant(catalog, "model", measurement.name if measurement.file is None else measurement.file.name).slug
    except QuestionError:
        return None


def _estimate(
    calibration: Calibration,
    identified: Identified,
    measurement: Measurement,
    model: ModelArchitecture,
    quant: Quant,
    timing: Timing,
) -> Estimate | None:
    """The estimate of one phase; None where no engine runs it on the machine as it was identified."""
    machine = identified.machine
    request = replace(
        request_of(quant, machine.devices[0], machine.host),
        gpu_count=len(machine.devices),
        engine=measurement.engine,
        backend=measurement.backend,
        prompt_tokens=timing.n_prompt,
        output_tokens=timing.n_gen,
    )
    try:
        return estimate(model, request, calibration)
    except EstimatorError:
        return None


def _speed(answer: Estimate | None, timing: Timing) -> Speed | None:
    if answer is None:
        return None
    return answer.decode if timing.kind == "decode" else answer.prefill


def _row(
    catalog: Catalog,
    description: Description,
    facts: Facts,
    identified: Identified,
    measurement: Measurement,
    model: ModelArchitecture,
    quant: Quant,
    timing: Timing,
) -> dict[str, Any]:
    """One line of a measurements' file; what is not in the catalog has no slug."""
    device, memory = identified.machine.devices[0], identified.machine.devices[0].memory_bytes
    known = model.slug if model.slug in catalog.models else None
    match = "exact" if known == _named(catalog, measurement) else "same-shapes"
    detected = () if facts.no_gpu else tuple(card.name for card in description.gpus)
    return {
        "gpu": next(iter((*facts.gpus, *detected)), description.processor),
        "gpu_count": len(identified.machine.devices),
        "vram_gb": None if memory is None else round(memory / GIB, 1),
        "model": measurement.name,
        "quant": quant.file_type or quant.name,
        "engine": measurement.engine.value,
        "backend": None if measurement.backend is None else measurement.backend.value,
        "build": measurement.build,
        "date": datetime.now(UTC).date().isoformat(),
        "kind": timing.kind,
        "n_prompt": timing.n_prompt,
        "n_gen": timing.n_gen,
        "batch": 1,
        "tok_s": round(timing.tok_s, 3),
        "source_url": SOURCE,
        "source_note": f"{description.system}, {description.surroundings.value}, {description.processor}",
        "gpu_slug": device.slug,
        "gpu_match": "exact",
        "model_slug": known,
        "model_match": None if known is None else match,
        "quant_slug": quant.slug,
        "quant_match": "exact",
    }


def print_report(report: Report, rows: Path) -> None:
    """Print measured speeds beside the estimates, and write the rows."""
    print(f"{report.model}, {report.quant}, on {report.machine}")
    for compared in report.compared:
        timing, ratio = compared.timing, compared.ratio
        beside = "no estimate" if ratio is None else f"estimate {speed_text(compared.estimate)}, ratio {ratio:.2f}"
        print(f"  {timing.kind:<7} {timing.tok_s:,.1f} tok/s measured; {beside}")
    rows.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in report.rows))
    print(f"rows for contribution: {rows}")


def report_json(report: Report) -> dict[str, Any]:
    return {
        "machine": report.machine,
        "model": report.model,
        "quant": report.quant,
        "speeds": [
            {
                "kind": compared.timing.kind,
                "measured_tok_s": round(compared.timing.tok_s, 3),
                "estimated_tok_s": None if compared.estimate is None else round(compared.estimate.value, 3),
                "ratio": None if compared.ratio is None else round(compared.ratio, 4),
            }
            for compared in report.compared
        ],
        "rows": list(report.rows),
    }
