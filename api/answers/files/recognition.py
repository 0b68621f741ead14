"""The model of the catalog that a file describes: recognised by its structure, whatever the file is called.

A recognised model is answered as the catalog answers it, with what was measured of that model. Models that share a
structure are told apart by their class, their context, and the repository that the file names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from api.answers.files.models import ModelSource
from db.entries.files import Catalog
from estimator.calibration.coefficients import Calibration
from estimator.calibration.effects import effect_name
from estimator.sentences import Sentence, SentenceCode
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.files import PublishedFile
from estimator.structure.likeness import same_structure

_CONTEXT = "max_position_embeddings"


def recognised(
    source: ModelSource,
    catalog: Catalog,
    calibration: Calibration,
    architecture: Callable[[str], ModelArchitecture],
) -> ModelSource:
    """``source`` as the catalog has it, with remarks on what was carried over; itself when the catalog has no such model.

    ``architecture`` gives the structure of a model of the catalog by its slug.
    """
    own = source.model
    same = _closest(source, [slug for slug in _alike(catalog, own) if same_structure(architecture(slug), own)], catalog)
    if not same:
        return source
    entries = [catalog.models[slug] for slug in same]
    names = _listed([str(entry["name"]) for entry in entries])
    corrections = [_corrections(calibration, slug) for slug in same]
    agree = all(correction == corrections[0] for correction in corrections)
    if not agree:
        code, rest = SentenceCode.STRUCTURE_AMBIGUOUS, ", whose measured speeds differ: none is carried over."
    elif any(corrections[0]):
        code, rest = SentenceCode.STRUCTURE_MEASURED, ": the speeds carry what was measured of it."
    else:
        code, rest = SentenceCode.STRUCTURE_KNOWN, "."
    known = [architecture(slug) for slug in same]
    published = _common_files(known)
    if any(file.quant not in {kept.quant for kept in published} for model in known for file in model.published_files):
        rest += " Sizes of published files that differ among them, or are of one alone, are not carried over."
    remark = Sentence(code, f"The structure is that of {names} in the catalog{rest}", models=same)
    context, remarks = _context(source, entries)
    alone = known[0] if len(known) == 1 else own
    # The tensors of a GGUF file are its own.
    model = replace(
        known[0] if source.stored is None else own,
        slug=known[0].slug if agree else own.slug,
        architecture=known[0].architecture,
        training=known[0].training,
        context_tokens=context,
        native_dtype=own.native_dtype if source.is_quantized else known[0].native_dtype,
        vision_parameters=alone.vision_parameters,
        published_files=published,
        has_original=all(model.has_original for model in known),
        checkpoints=tuple(sorted(set.intersection(*(set(model.checkpoints) for model in known)))),
    )
    defaults = tuple(key for key in source.defaults if key != _CONTEXT or context == own.context_tokens)
    return replace(source, model=model, defaults=defaults, remarks=(*source.remarks, remark, *remarks))


def _common_files(known: Sequence[ModelArchitecture]) -> tuple[PublishedFile, ...]:
    """Published sizes that all of ``known`` share within their rounding."""
    by_quant: dict[str, list[PublishedFile]] = {}
    for model in known:
        for file in model.published_files:
            by_quant.setdefault(file.quant, []).append(file)
    shared = (
        PublishedFile(
            quant,
            max(file.low_bytes for file in files),
            min(file.high_bytes for file in files),
            all(file.is_alike for file in files),
        )
        for quant, files in by_quant.items()
        if len(files) == len(known)
    )
    return tuple(file for file in shared if file.low_bytes <= file.high_bytes)


def _alike(catalog: Catalog, own: ModelArchitecture) -> list[str]:
    sizes = (own.hidden, own.n_layers, own.vocab)
    return [
        slug
        for slug, entry in catalog.models.items()
        if (entry["hidden_size"], entry["n_layers"], entry["vocab_size"]) == sizes
    ]


def _closest(source: ModelSource, slugs: list[str], catalog: Catalog) -> list[str]:
    """Those of one structure that agree with the file in the most telling of its other facts."""
    repository = (source.repository or "").casefold()
    tests: tuple[Callable[[Mapping[str, Any]], bool], ...] = (
        lambda entry: bool(repository) and repository == str(entry["hf_repo"]).casefold(),
        lambda entry: entry["architecture"] == source.model.architecture,
        lambda entry: _CONTEXT not in source.defaults and entry["context_length"] == source.model.context_tokens,
    )
    for test in tests:
        slugs = [slug for slug in slugs if test(catalog.models[slug])] or slugs
    return slugs


def _corrections(calibration: Calibration, slug: str) -> tuple[Any, ...]:
    """Measured corrections of a model that do not follow from its structure."""
    known: list[Any] = []
    for kind in ("decode", "prefill"):
        data = calibration.data[kind]
        known += [data["effects"].get(effect_name("whole", "model", slug), 0.0), data["measured"].get(slug)]
    return tuple(known)


def _context(source: ModelSource, entries: Sequence[Mapping[str, Any]]) -> tuple[int | None, tuple[Sentence, ...]]:
    """The context to use, and a remark where the file and the catalog differ."""
    own, lengths = source.model.context_tokens, {entry["context_length"] for entry in entries} - {None}
    if own is None or _CONTEXT in source.defaults:
        return (lengths.pop() if len(lengths) == 1 else own), ()
    if not lengths - {own}:
        return own, ()
    catalog_lengths = _listed(sorted(f"{length:,}" for length in lengths))
    text = f"The file states a context of {own:,} tokens, the catalog {catalog_lengths}: that of the file is used."
    code = SentenceCode.CONTEXT_NOT_AS_KNOWN
    return own, (Sentence(code, text, used_tokens=own, known_tokens=sorted(lengths)),)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
