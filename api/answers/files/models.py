"""Models that a question brings along as a file: a GGUF header or a ``config.json``.

Only the header of a file is read: the structure of the model and, for GGUF, the exact bytes of its tensors.
"""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from api.answers.files.checkpoints import with_bytes
from api.answers.files.remote import FIELD as URL_FIELD
from api.answers.files.remote import RemoteFiles
from api.errors import ErrorCode, LimitExceededError, QuestionError
from db.entries.files import Catalog
from db.imports.checkpoints.quantization import CheckpointFormat, checkpoint_format
from db.imports.errors import ImportFactsError
from db.imports.gguf.facts import facts_from_gguf
from db.imports.gguf.header import MAGIC, MAX_HEADER_BYTES, compact_gguf, parse_gguf
from db.imports.gguf.split import names_of_parts
from db.imports.hub.config import MAX_CONFIG_BYTES, config_of_text, facts_from_config
from estimator.sentences import Sentence, SentenceCode
from estimator.structure.architecture import ModelArchitecture, architecture_from_facts
from estimator.structure.files import StoredLayers
from estimator.types import EstimatorError, Quant

#: Slug of everything that is not in the catalog.
CUSTOM = "custom"
#: Slug of a checkpoint in 16 bits, which every engine can convert where none serves it as it is.
PLAIN = "bf16-safetensors"
#: Begins the note that names the keys whose value is the default of the model's class.
DEFAULTS_NOTE = "The configuration does not state these keys; they have the default of its class: "
#: Most characters of base64 in one question: what a request of the default size holds beside the rest of it.
MAX_PASTED_CHARACTERS = 1_000_000


#: Different addresses of one request.
MAX_ADDRESSES = 8


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The model of a file. ``stored`` and ``file_type`` are those of a GGUF file, else None; ``checkpoint`` is the format
    of a configuration's own checkpoint, ``repository`` the one that the file names. ``defaults`` are keys that the file
    left to its class, ``remarks`` say what else was not read from it."""

    model: ModelArchitecture
    stored: StoredLayers | None = None
    file_type: str | None = None
    checkpoint: CheckpointFormat | None = None
    repository: str | None = None
    defaults: tuple[str, ...] = ()
    remarks: tuple[Sentence, ...] = ()

    @property
    def is_quantized(self) -> bool:
        """Whether the file states a format of its own for the weights."""
        return self.stored is not None or (self.checkpoint is not None and self.checkpoint.is_quantized)

    @property
    def notes(self) -> tuple[Sentence, ...]:
        """Sentences of an answer about the file."""
        if not self.defaults:
            return self.remarks
        text = DEFAULTS_NOTE + ", ".join(self.defaults)
        return (Sentence(SentenceCode.KEYS_DEFAULTED, text, keys=list(self.defaults)), *self.remarks)


#: The model of an address, or the reason for none.
Fetched: TypeAlias = ModelSource | QuestionError


def source_of_config(config: Any) -> ModelSource:
    """The model of a ``config.json``, parsed or as text. Raises :class:`ImportFactsError`."""
    if isinstance(config, str):
        config = config_of_text(config)
    if not isinstance(config, Mapping):
        raise ImportFactsError("a model's configuration must be a JSON object, or the text of one", "model_config")
    if "weight_map" in config:
        raise ImportFactsError(
            "this is the index of a checkpoint; give the model's config.json, and the index beside it as 'model_index'",
            "model_config",
        )
    facts = facts_from_config(config, CUSTOM)
    repository, contexts = config.get("_name_or_path"), facts["contexts"]
    stated = ", ".join(f"{key} {length:,}" for key, length in contexts.items())
    used = facts["context_length"]
    return ModelSource(
        architecture_from_facts(facts),
        checkpoint=checkpoint_format(config, config),
        repository=repository if isinstance(repository, str) else None,
        defaults=tuple(facts["class_defaults"]),
        remarks=(
            Sentence(
                SentenceCode.CONTEXTS_DIFFER,
                f"The file states contexts that differ ({stated}): {used:,} tokens are used.",
                contexts_tokens=dict(contexts),
                used_tokens=used,
            ),
        )
        if len(set(contexts.values())) > 1
        else (),
    )


def source_of_pasted(text: Any) -> ModelSource:
    """The model of a GGUF file's first bytes in base64. Raises :class:`ImportFactsError`."""
    field = "model_gguf"
    if not isinstance(text, str):
        raise ImportFactsError("the first bytes of a GGUF file must be given as a text in base64", field)
    if len(text) > MAX_PASTED_CHARACTERS:
        raise ImportFactsError(
            f"{len(text):,} characters of base64; at most {MAX_PASTED_CHARACTERS:,} are read. `fitgraph gguf-header FILE` "
            "prints the header without its tokenizer, which is much shorter",
            field,
        )
    try:
        data = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImportFactsError("not valid base64", field) from None
    try:
        return source_of_bytes(data, must_be_gguf=True)
    except ImportFactsError as error:
        raise ImportFactsError(str(error), field) from None


def source_of_bytes(data: bytes, *parts: bytes, must_be_gguf: bool = False) -> ModelSource:
    """The model that the first bytes of a GGUF file or a ``config.json`` describe; ``parts`` are those of the other parts
    of a split GGUF file.

    Raises:
        ImportFactsError: the bytes are none of the two, or more than a header is missing.
    """
    if must_be_gguf or data[:4] == MAGIC:
        gguf = facts_from_gguf(data, *parts, slug=CUSTOM)
        return ModelSource(architecture_from_facts(gguf.facts), gguf.stored, gguf.file_type)
    if not data:
        raise ImportFactsError("the file is empty: neither a GGUF file nor a config.json", "model")
    return source_of_config(config_of_text(data))


def source_of_file(path: Path) -> ModelSource:
    """The model of a local ``config.json`` or GGUF file, or of a part of a split one beside the others.

    Raises:
        ImportFactsError: a file cannot be read, or is none of these.
    """
    is_gguf = path.suffix == ".gguf"
    names = names_of_parts(str(path)) if is_gguf else [str(path)]
    return source_of_bytes(*(read_start(Path(name)) for name in names), must_be_gguf=is_gguf)


def read_start(path: Path) -> bytes:
    """A file's first bytes, as many as a header may have. Raises :class:`ImportFactsError` when it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            return start + file.read((MAX_HEADER_BYTES if start == MAGIC else MAX_CONFIG_BYTES + 1) - len(start))
    except OSError as error:
        raise ImportFactsError(f"cannot read {path.name}: {error.strerror}", "model") from None


def short_header(path: Path) -> bytes:
    """The header of a local GGUF file without its tokenizer. Raises :class:`ImportFactsError`."""
    return compact_gguf(read_start(path))


def is_model_file(text: str) -> bool:
    """Whether a model's name is rather the path of a file that is there."""
    return text.endswith((".json", ".gguf")) and Path(text).is_file()


async def source_of_address(address: str, files: RemoteFiles) -> ModelSource:
    """The model of a GGUF file or ``config.json`` on an allowed host.

    Raises:
        QuestionError: the address is not allowed or does not answer.
        ImportFactsError: what it answers is no such file, or its header is longer than what may be read.
    """

    def complete(data: bytes) -> bool:
        if data[:4] != MAGIC:
            return len(data) > MAX_CONFIG_BYTES
        try:
            parse_gguf(data)
        except ImportFactsError as error:
            return error.field != "length"
        return True

    async def enough(data: bytes) -> bool:
        return await asyncio.to_thread(complete, data)

    try:
        first, *others = names_of_parts(address)
        parts = [await files.read(first, enough)]
        # A name alone is no reason to read up to a hundred files.
        if others and parts[0][:4] == MAGIC and parse_gguf(parts[0]).metadata.get("split.count") == 1 + len(others):
            parts += [await files.read(part, enough) for part in others]
        return await asyncio.to_thread(source_of_bytes, *parts)
    except ImportFactsError as error:
        raise ImportFactsError(str(error), URL_FIELD) from None


async def sources_of_addresses(addresses: Iterable[str], files: RemoteFiles) -> dict[str, Fetched]:
    """The model of each address. Raises :class:`LimitExceededError` for more than ``MAX_ADDRESSES`` of them."""
    wanted = list(dict.fromkeys(addresses))
    if len(wanted) > MAX_ADDRESSES:
        raise LimitExceededError("addresses", len(wanted), MAX_ADDRESSES)
    return dict(zip(wanted, await asyncio.gather(*(_source(address, files) for address in wanted)), strict=True))


async def _source(address: str, files: RemoteFiles) -> Fetched:
    try:
        return await source_of_address(address, files)
    except QuestionError as error:
        return error
    except ImportFactsError as error:
        return QuestionError(ErrorCode.BAD_USER_INPUT, str(error), error.field)
    except EstimatorError as error:
        return QuestionError(ErrorCode.BAD_USER_INPUT, str(error), URL_FIELD)


def stored_quant(quant: Quant, source: ModelSource) -> Quant:
    """``quant`` with the bytes of the file when it is the file's own, else as it is."""
    own = source.checkpoint
    if own is not None and own.is_quantized and quant.slug == own.quant:
        return with_bytes(_with_bits(quant, own), widths=own.widths)
    if source.stored is None or quant.file_type != source.file_type:
        return quant
    return with_bytes(quant, by_layer=source.stored)


def _with_bits(quant: Quant, own: CheckpointFormat) -> Quant:
    """``quant`` with the bits and groups that the configuration states."""
    if quant.part_bits is not None:
        bits, parts = own.bits, quant.part_bits
        if bits is not None:
            parts = replace(parts, dense=bits, beside_experts=bits, experts=bits)
        return replace(quant, part_bits=replace(parts, output=dict(own.widths).get("output", parts.output)))
    if own.bits is None:
        return quant
    return replace(
        quant, weight_bits=own.bits, group_size=own.group_size, scale_bits=own.scale_bits, zero_bits=own.zero_bits
    )


def quant_of_file(source: ModelSource, catalog: Catalog) -> str | None:
    """Slug of the catalog's quantization that the file itself is in, 16 bits included; None when it states none.

    Raises:
        ImportFactsError: the file states a format that is not in the catalog.
    """
    own = source.checkpoint
    if own is not None:
        if own.quant is None and own.is_quantized:
            raise ImportFactsError(
                f"the checkpoint is in {own.label}, which is not estimated; state a quantization to estimate the model in",
                "quant",
            )
        return own.quant if own.quant in catalog.quants else None
    if source.file_type is None:
        return None
    return next((slug for slug, entry in catalog.quants.items() if entry["file_type"] == source.file_type), None)
