"""Questions beyond one model on one kind of accelerator: mixed cards, a draft model, a vision projector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from api.errors import ErrorCode, QuestionError
from estimator.sentences import Sentence, SentenceCode
from estimator.speed.speculative import MAX_DRAFT_TOKENS, Draft
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Accelerator, Quant
from estimator.whatif import MAX_DEVICES

KEYS: tuple[str, ...] = ("gpus", "draft", "vision", "projector_bytes")
DRAFT_KEYS: tuple[str, ...] = ("model", "quant", "tokens", "acceptance_rate")
#: Stands for the heads of the model itself in place of a draft model.
OWN_HEADS = "mtp"
#: Largest accepted projector, bytes: above any that exists.
MAX_PROJECTOR_BYTES = 10**12
#: Name to thing, by a catalog's own rules; raises :class:`QuestionError` for a name that it does not have.
ModelOf = Callable[[str], ModelArchitecture]
QuantOf = Callable[[str], Quant]
GpusOf = Callable[[str], tuple[Accelerator, ...]]

UNKNOWN_PROJECTOR = Sentence(
    SentenceCode.PROJECTOR_UNKNOWN,
    "The size of this model's vision projector is not known; it is not in the total. Give projector_bytes to count it.",
)


def has_extras(question: Mapping[str, Any]) -> bool:
    """Whether a question asks for anything of this module."""
    return any(question.get(key) is not None for key in KEYS)


def devices_of(question: Mapping[str, Any], gpus_of: GpusOf) -> tuple[Accelerator, ...]:
    """The accelerators of ``gpus``; none when it is left out. Raises :class:`QuestionError`."""
    names = question.get("gpus")
    if names is None:
        return ()
    if question.get("gpu_count") is not None:
        raise _bad("give 'gpus' or 'gpu_count', not both: 'gpus' lists every one", "gpus")
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_DEVICES:
        raise _bad(f"'gpus' must be a list of 1 to {MAX_DEVICES} accelerators", "gpus")
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise _bad("'gpus' must list names (slugs or aliases)", "gpus")
    devices = tuple(device for name in names for device in gpus_of(name))
    if len(devices) > MAX_DEVICES:
        raise _bad(f"'gpus' names {len(devices)} accelerators; at most {MAX_DEVICES} are estimated together", "gpus")
    return devices


def draft_of(
    question: Mapping[str, Any], model_of: ModelOf, quant_of: QuantOf, own: tuple[ModelArchitecture, Quant]
) -> Draft | None:
    """The draft of a question; None when there is none. A draft called ``mtp`` has no quant: the heads of the model itself
    (``own``, in its quantization). Raises :class:`QuestionError`."""
    draft = question.get("draft")
    if draft is None:
        return None
    own_heads = isinstance(draft, Mapping) and str(draft.get("model")).casefold() == OWN_HEADS
    if own_heads and draft.get("quant") is None:
        draft = {**draft, "quant": own[1].slug}
    if not isinstance(draft, Mapping) or sorted(draft) != sorted(DRAFT_KEYS):
        raise _bad(f"'draft' must be an object with {', '.join(DRAFT_KEYS)}", "draft")
    for key in ("model", "quant"):
        if not isinstance(draft[key], str) or not draft[key].strip():
            raise _bad(f"'draft.{key}' must be a name (a slug or an alias)", "draft")
    tokens, rate = draft["tokens"], draft["acceptance_rate"]
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not 1 <= tokens <= MAX_DRAFT_TOKENS:
        raise _bad(f"'draft.tokens' must be an integer from 1 to {MAX_DRAFT_TOKENS}, not {tokens!r}", "draft")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise _bad(f"'draft.acceptance_rate' must be a number from 0 to 1, not {rate!r}", "draft")
    if own_heads:
        return Draft(*own, tokens, float(rate), own_heads=True)
    return Draft(model_of(draft["model"]), quant_of(draft["quant"]), tokens, float(rate))


def projector_of(question: Mapping[str, Any], entry: Mapping[str, Any] | None, known: int | None) -> int | None:
    """Bytes of the vision projector that a question loads: 0 for none, None for one of unknown size.

    ``entry`` is the model's in the catalog (None: the question brought the model along), ``known`` its projector's bytes.

    Raises:
        QuestionError: the model reads no images, or a value is malformed.
    """
    asked, stated_bytes = question.get("vision"), question.get("projector_bytes")
    if asked is not None and not isinstance(asked, bool):
        raise _bad(f"'vision' must be true or false, not {asked!r}", "vision")
    if stated_bytes is not None:
        if (
            isinstance(stated_bytes, bool)
            or not isinstance(stated_bytes, int)
            or not 1 <= stated_bytes <= MAX_PROJECTOR_BYTES
        ):
            raise _bad(
                f"'projector_bytes' must be an integer from 1 to {MAX_PROJECTOR_BYTES:,}, not {stated_bytes!r}",
                "projector_bytes",
            )
        if asked is False:
            raise _bad("'projector_bytes' is of a projector that 'vision' false leaves out", "projector_bytes")
        return stated_bytes
    if not asked:
        return 0
    if entry is not None and "image" not in entry["modalities"]:
        raise QuestionError(ErrorCode.UNSUPPORTED, f"{entry['name']} reads no images, so it has no projector", "vision")
    return known


def _bad(message: str, field: str) -> QuestionError:
    return QuestionError(ErrorCode.BAD_USER_INPUT, message, field)
