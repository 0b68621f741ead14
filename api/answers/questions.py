"""One estimate asked in words: names and numbers in, an answer or a typed error out.

The command line's batch mode and the GraphQL `estimate` field share this module, so they accept the same keys, refuse
the same mistakes and return the same numbers. It reads the catalog snapshot only: no database, no server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from api.answers import keys
from api.answers import what_if as extras
from api.answers.choices.machine import host_with
from api.answers.facts import facts_of_plan
from api.answers.files.checkpoints import checkpoint_quant
from api.answers.files.models import (
    CUSTOM,
    ModelSource,
    quant_of_file,
    source_of_config,
    source_of_pasted,
    stored_quant,
)
from api.answers.files.old_files import with_plain_attention
from api.answers.files.recognition import recognised
from api.answers.own_hardware import accelerator_of_facts
from api.catalog.view import CatalogView
from api.errors import ErrorCode, QuestionError
from db.entries import specs
from db.entries.files import Catalog
from db.entries.names.meanings import Meaning, UnknownNameError
from db.imports.errors import ImportFactsError
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.fit_facts import DraftFacts, FitFacts
from estimator.placement.hosts import host_for
from estimator.sentences import Sentence, SentenceCode
from estimator.server_options import SplitMode
from estimator.server_pool import ServerPool, server_pool
from estimator.speed.mixed_gpus import DeviceLoad
from estimator.speed.speculative import Draft, Speculation
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.likeness import SPECIAL_LAYERS, special_layers
from estimator.types import (
    ENGINE_NAMES,
    Accelerator,
    Backend,
    Estimate,
    EstimateRequest,
    EstimatorError,
    Host,
    MissingFactError,
    Quant,
    Status,
    UnsupportedError,
    Workload,
)
from estimator.whatif import Extras, what_if


@dataclass(frozen=True, slots=True)
class Answer:
    """An estimate with the catalog names that it is about."""

    model_slug: str
    gpu_slug: str
    quant_slug: str
    estimate: Estimate
    #: The facts that texts, advice and commands use.
    facts: FitFacts
    devices: tuple[DeviceLoad, ...] = ()
    speculation: Speculation | None = None
    notes: tuple[Sentence, ...] = ()
    #: Streams of the question that a server has no room for now and lets wait.
    waiting_streams: int = 0

    @property
    def pool(self) -> ServerPool | None:
        """The cache pool of a server of checkpoints; None for an engine that has none."""
        return server_pool(self.facts.model, self.facts.request, self.estimate)


#: Said of a draft that takes longer than it saves.
SLOWER_DRAFT = Sentence(SentenceCode.DRAFT_SLOWER, "Decoding is slower with this draft than without it.")


def size_notes(model: ModelArchitecture, quant: Quant, entry: Mapping[str, Any] | None) -> tuple[Sentence, ...]:
    """Says how far off the size of a file may be whose publisher chooses the types of tensors by model; nothing where its
    size is published."""
    if not quant.part_factors:
        return ()
    file = next((file for file in model.published_files if file.quant == quant.slug), None)
    if file is not None and not file.is_alike:
        return ()
    name, error = (quant.slug, None) if entry is None else (entry["name"], entry["part_factors"]["left_out_error"])
    text = f"The publisher of {name} files chooses the types of tensors by model, and no size is known of this one"
    if file is not None:
        text, error = f"{text}: it is taken from a model with the same tensors.", None
    else:
        text += "." if error is None else f": 9 of 10 others were sized within {error:.1%}."
    return (Sentence(SentenceCode.SIZE_ESTIMATED, text, quant=quant.slug, relative_error=error),)


def unmeasured_notes(
    model: ModelArchitecture, request: EstimateRequest, result: Estimate, calibration: Calibration
) -> tuple[Sentence, ...]:
    """Says of which layers of a model no measurement tells on such an accelerator with the engine."""
    if result.decode is None or result.engine is None or result.backend is None:
        return ()
    unseen = calibration.unseen_layers(request.accelerator, result.backend, request.software or result.engine.value)
    kinds = [SPECIAL_LAYERS[kind] for kind in special_layers(model) if kind in unseen]
    if not kinds:
        return ()
    engine, layers = ENGINE_NAMES[result.engine], " and ".join(kinds)
    text = (
        f"No measurement has {layers} on accelerators like {request.accelerator.name} with {engine}: the speeds are those of other "
        "layers' measurements, and may be wrong by more than the ranges say."
    )
    return (Sentence(SentenceCode.LAYERS_UNMEASURED, text, engine=engine, layers=layers),)


class Answerer:
    """Answers questions over one catalog snapshot; keeps what it built per entity for the next question."""

    def __init__(self, catalog: Catalog, calibration: Calibration) -> None:
        self._catalog = catalog
        self._calibration = calibration
        self._architecture: Callable[[str], ModelArchitecture] = lru_cache(maxsize=None)(
            lambda slug: specs.architecture(catalog.models[slug])
        )
        self._accelerator: Callable[[str], Accelerator] = lru_cache(maxsize=None)(
            lambda slug: specs.accelerator(catalog.gpus[slug])
        )
        self._quant: Callable[[str], Quant] = lru_cache(maxsize=None)(lambda slug: specs.quant(catalog.quants[slug]))
        self._host: Callable[[str], Host] = lru_cache(maxsize=None)(lambda slug: specs.host(catalog.hosts[slug]))
        self._profiles = [specs.host(entry) for entry in catalog.hosts.values()]

    def answer(self, question: Mapping[str, Any], brought: ModelSource | None = None) -> Answer:
        """Estimate one question; ``brought`` is the model of a local file, or what its ``model_url`` led to.

        Raises:
            QuestionError: the question has no answer.
        """
        unknown = sorted(set(question) - set(keys.KEYS))
        if unknown:
            raise QuestionError(
                ErrorCode.BAD_USER_INPUT, f"unknown key {unknown[0]!r}; allowed are {', '.join(keys.KEYS)}", unknown[0]
            )
        workload = self._workload_of(question)
        try:
            model_slug, source = self._model_of(question, brought)
            quant = self._quant_of(question, source)
            source = with_plain_attention(question, source, quant)
            devices = extras.devices_of(question, self._gpus_named)
            gpu_slug, accelerator = self._accelerator_of(question, devices)
            count = len(devices) or self._count(question, keys.integer(question, "gpu_count"))
            accelerator = keys.rigged(question, accelerator, count)
            devices = tuple(keys.rigged(question, device, count) for device in devices)
            request = self._request(question, accelerator, quant, self._host_of(question, accelerator))
            if extras.has_extras(question):
                answer = self._with_extras(question, (model_slug, gpu_slug), source.model, request, devices, workload)
                notes = (*self._name_notes(question), *answer.notes, *self._size_notes(source, quant), *source.notes)
                return replace(answer, notes=notes)
            result = estimate(source.model, request, self._calibration, workload)
            served, result, waiting = self._served(source.model, request, result, workload)
        except MissingFactError as error:
            raise QuestionError(ErrorCode.MISSING_FACT, str(error), error.field_name) from error
        except UnsupportedError as error:
            raise QuestionError(ErrorCode.UNSUPPORTED, str(error)) from error
        except ImportFactsError as error:
            raise QuestionError(ErrorCode.BAD_USER_INPUT, str(error), error.field) from error
        except EstimatorError as error:
            raise QuestionError(ErrorCode.BAD_USER_INPUT, str(error)) from error
        entry = self._catalog.models.get(model_slug)
        facts = facts_of_plan(entry, source.model, served, result, workload)
        unmeasured = unmeasured_notes(source.model, served, result, self._calibration)
        notes = (*self._name_notes(question), *waiting, *self._size_notes(source, quant), *source.notes, *unmeasured)
        left = request.batch - served.batch
        return Answer(model_slug, gpu_slug, quant.slug, result, facts, notes=notes, waiting_streams=left)

    def _size_notes(self, source: ModelSource, quant: Quant) -> tuple[Sentence, ...]:
        return size_notes(source.model, quant, self._catalog.quants.get(quant.slug))

    def _served(
        self, model: ModelArchitecture, request: EstimateRequest, result: Estimate, workload: Workload | None
    ) -> tuple[EstimateRequest, Estimate, tuple[Sentence, ...]]:
        """The plan of the streams that a server has room for; it lets the others wait, and refuses none."""
        pool = server_pool(model, request, result)
        if pool is None or result.status is not Status.DOES_NOT_FIT or not 1 <= pool.requests_at_once < request.batch:
            return request, result, ()
        streams = int(pool.requests_at_once)
        name = ENGINE_NAMES[result.engine] if result.engine else "the server"
        mend = f" {pool.mend} makes room for all." if pool.mend and "mem" in pool.mend else ""
        note = Sentence(
            SentenceCode.STREAMS_WAIT,
            f"{name} answers {streams} of {request.batch} streams at once and lets the others wait.{mend}",
            engine=name,
            streams=request.batch,
            streams_at_once=streams,
        )
        fewer = replace(request, batch=streams)
        return fewer, estimate(model, fewer, self._calibration, workload), (note,)

    def _model_of(self, question: Mapping[str, Any], brought: ModelSource | None) -> tuple[str, ModelSource]:
        key = keys.stands_in(question, "model")
        if key == "model_config":
            brought = source_of_config(question[key])
        elif key == "model_gguf":
            brought = source_of_pasted(question[key])
        if brought is not None:
            return CUSTOM, recognised(brought, self._catalog, self._calibration, self._architecture)
        if key == "model_url":
            raise QuestionError(ErrorCode.UNSUPPORTED, "no file is fetched here", key)
        slug = self._resolved("model", keys.text(question, "model"))
        return slug, ModelSource(self._architecture(slug))

    def _quant_of(self, question: Mapping[str, Any], source: ModelSource) -> Quant:
        """The quantization, with the bytes of the file that the question brings along."""
        slug = quant_of_file(source, self._catalog) if question.get("quant") is None else None
        quant = self._quant(slug or self._asked_quant(question))
        if question.get("model_index") is not None:
            return checkpoint_quant(quant, question["model_index"])
        return stored_quant(quant, source)

    def _asked_quant(self, question: Mapping[str, Any]) -> str:
        """Slug of the quantization that is asked for, else of that which the model's name states, as that of a file does."""
        model = question.get("model")
        is_stated = question.get("quant") is None and isinstance(model, str) and model.strip()
        stated = self._meant("model", str(model)).quant if is_stated else None
        return self._meant("quant", stated or keys.text(question, "quant"), keys.engine(question)[0]).slug

    def _with_extras(
        self,
        question: Mapping[str, Any],
        slugs: tuple[str, str],
        model: ModelArchitecture,
        request: EstimateRequest,
        devices: tuple[Accelerator, ...],
        workload: Workload | None,
    ) -> Answer:
        """The answer to a question with several accelerators, a draft or a projector."""
        entry = self._catalog.models.get(slugs[0])
        draft = extras.draft_of(question, self._model_named, self._quant_named, (model, request.quant))
        known = model.vision_parameters * 2 or None if entry is None else specs.projector_bytes(entry)
        projector = extras.projector_of(question, entry, known)
        result = what_if(model, request, Extras(devices, draft, projector), self._calibration, workload)
        notes = (extras.UNKNOWN_PROJECTOR,) if projector is None else ()
        if devices:
            request = replace(request, accelerator=devices[0], gpu_count=len(devices))
        beside = None if draft is None else self._draft_facts(question["draft"]["model"], draft)
        if result.speculation is not None and result.speculation.speedup < 1.0:
            notes = (*notes, SLOWER_DRAFT)
        facts = replace(
            facts_of_plan(self._catalog.models.get(slugs[0]), model, request, result.estimate, workload),
            vision=projector != 0,
            accelerators=devices,
            devices=result.devices,
            draft=beside,
        )
        return Answer(*slugs, request.quant.slug, result.estimate, facts, result.devices, result.speculation, notes)

    def _draft_facts(self, name: str, draft: Draft) -> DraftFacts:
        if draft.own_heads:
            return DraftFacts(draft)
        entry = self._catalog.models[self._resolved("model", name)]
        checkpoint = specs.checkpoint_repository(entry, draft.quant.slug)
        return DraftFacts(draft, entry["hf_repo"], specs.gguf_repository(entry, draft.quant), checkpoint)

    def _model_named(self, text: str) -> ModelArchitecture:
        return self._architecture(self._resolved("model", text))

    def _quant_named(self, text: str) -> Quant:
        return self._quant(self._resolved("quant", text))

    def _gpus_named(self, text: str) -> tuple[Accelerator, ...]:
        meaning = self._meant("gpu", text)
        return (self._accelerator(meaning.slug),) * (meaning.count or 1)

    def _accelerator_of(self, question: Mapping[str, Any], devices: tuple[Accelerator, ...]) -> tuple[str, Accelerator]:
        if devices:
            named = next((key for key in ("gpu", *keys.INSTEAD_OF["gpu"]) if question.get(key) is not None), None)
            if named is not None:
                raise QuestionError(ErrorCode.BAD_USER_INPUT, f"give {named!r} or 'gpus', not both", "gpus")
            return devices[0].slug, devices[0]
        if keys.stands_in(question, "gpu") is not None:
            return CUSTOM, accelerator_of_facts(question["gpu_facts"])
        slug = self._resolved("gpu", keys.text(question, "gpu"))
        return slug, self._accelerator(slug)

    def _host_of(self, question: Mapping[str, Any], accelerator: Accelerator) -> Host:
        if question.get("host") is not None:
            host = self._host(self._resolved("host", keys.text(question, "host")))
        else:
            host = host_for(accelerator, self._profiles)
        return host_with(
            host,
            keys.number(question, "host_memory_gb", 0.5, 65_536),
            keys.number(question, "host_bandwidth_gbps", 1, 20_000),
        )

    def _workload_of(self, question: Mapping[str, Any]) -> Workload | None:
        if question.get("workload") is None:
            return None
        return specs.workload(self._catalog.workloads[self._resolved("workload", keys.text(question, "workload"))])

    def _request(
        self, question: Mapping[str, Any], accelerator: Accelerator, quant: Quant, host: Host
    ) -> EstimateRequest:
        context = keys.integer(question, "context_tokens")
        count = keys.integer(question, "gpu_count")
        engine, software = keys.engine(question)
        limit_mb = keys.integer(question, "wired_limit_mb")
        key_cache, value_cache = keys.cache_types(question)
        return EstimateRequest(
            quant=quant,
            accelerator=accelerator,
            gpu_count=self._count(question, count),
            host=host,
            engine=engine,
            software=software,
            build_age_years=keys.age(question),
            backend=keys.choice(question, "backend", Backend),
            prompt_tokens=keys.integer(question, "prompt_tokens"),
            output_tokens=keys.integer(question, "output_tokens"),
            depth_tokens=keys.integer(question, "depth"),
            context_tokens=context,
            kv_cache_type=key_cache,
            v_cache_type=value_cache,
            flash_attention=keys.boolean(question, "flash_attention"),
            batch=keys.integer(question, "batch") or 1,
            micro_batch_tokens=keys.integer(question, "micro_batch"),
            gpu_layers=keys.integer(question, "gpu_layers"),
            cpu_moe_layers=keys.integer(question, "cpu_moe_layers"),
            server=keys.server(question),
            split_mode=keys.choice(question, "split_mode", SplitMode),
            expected_occupancy=keys.boolean(question, "is_occupancy_expected") or False,
            wired_limit_bytes=None if limit_mb is None else limit_mb * 1024**2,
        )

    def _count(self, question: Mapping[str, Any], count: int | None) -> int:
        """How many accelerators: as ``gpu_count`` or the name says. Raises :class:`QuestionError` when both differ."""
        name = question.get("gpu")
        stated = self._meant("gpu", name).count if isinstance(name, str) else None
        if count is not None and stated is not None and count != stated:
            raise QuestionError(
                ErrorCode.BAD_USER_INPUT, f"'gpu' names {stated} accelerators and 'gpu_count' is {count}", "gpu_count"
            )
        return keys.integer({"gpu_count": count or stated or 1}, "gpu_count") or 1

    def _name_notes(self, question: Mapping[str, Any]) -> tuple[Sentence, ...]:
        """Which entities the names of a question were taken as, where they left something open."""
        draft = question.get("draft") or {}
        named = [(kind, question.get(kind)) for kind in ("model", "gpu", "quant", "host", "workload")]
        named += [("gpu", name) for name in question.get("gpus") or ()]
        if str(draft.get("model")).casefold() != extras.OWN_HEADS:
            named += [(kind, draft.get(kind)) for kind in ("model", "quant")]
        meanings = [(kind, self._meant(kind, name)) for kind, name in named if isinstance(name, str)]
        notes = [note for _, meaning in meanings for note in meaning.notes]
        stated = next((meaning.quant for kind, meaning in meanings if kind == "model"), None)
        chosen = next((meaning.slug for kind, meaning in meanings if kind == "quant"), None)
        if question.get("model") is not None and stated is not None and chosen not in (None, stated):
            text = f"The model's name states {stated}; the estimate is in {chosen}, as asked."
            notes.append(Sentence(SentenceCode.QUANT_NOT_AS_NAMED, text, stated=stated, chosen=chosen))
        return tuple(dict.fromkeys(notes))

    def _resolved(self, kind: str, text: str) -> str:
        return self._meant(kind, text).slug

    def _meant(self, kind: str, text: str, engine: str | None = None) -> Meaning:
        try:
            return self._catalog.meaning(kind, text, engine)
        except UnknownNameError as error:
            raise QuestionError.of(error) from error


def answerer_of(view: CatalogView) -> Answerer:
    """The answerer over a view's catalog; made once by ``view.derived(answerer_of)``."""
    return Answerer(view.catalog, view.calibration)
