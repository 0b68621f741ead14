"""Hardware that a question describes instead of naming it: an accelerator's facts.

The facts pass the same strict shapes as the catalog's files and go through the same bridge, so that a custom thing with
a catalog entry's facts gets that entry's numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from api.answers.files.models import CUSTOM
from db.entries import specs
from db.entries.schema import GpuFile
from db.imports.errors import ImportFactsError
from estimator.types import Accelerator

_EMPTY_LISTS = ("aliases", "uncertain", "recalled")
#: Values of the facts that a question may leave out.
_DEFAULTS: dict[str, Any] = {
    "slug": CUSTOM,
    "name": "custom accelerator",
    "vendor": "generic",
    "architecture": "custom",
    "kind": "consumer",
    "unified_memory": False,
    "derived": {},
    "source": ["given by the caller"],
}
_NEEDED = ("memory_gb", "bandwidth_gbps", "engines")


def accelerator_of_facts(facts: Any) -> Accelerator:
    """An accelerator from datasheet facts, in the keys and units of a catalog file; unknown facts may be left out.

    Raises:
        ImportFactsError: a key is unknown, a value out of range, or one without which nothing can be said is missing.
    """
    if not isinstance(facts, Mapping):
        raise ImportFactsError("an accelerator's facts must be a JSON object", "gpu_facts")
    unknown = sorted(str(name) for name in facts if name not in GpuFile.model_fields)
    if unknown:
        allowed = ", ".join(GpuFile.model_fields)
        raise ImportFactsError(f"gpu_facts: {unknown[0][:80]!r} is unknown; allowed are {allowed}", "gpu_facts")
    missing = next((name for name in _NEEDED if facts.get(name) is None), None)
    if missing is not None:
        raise ImportFactsError(f"an accelerator's facts need {', '.join(_NEEDED)}; {missing!r} is missing", missing)
    entry: dict[str, Any] = dict.fromkeys(GpuFile.model_fields)
    entry.update({name: [] for name in _EMPTY_LISTS})
    entry.update(_DEFAULTS)
    entry.update(facts)
    try:
        GpuFile.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:80]
        raise ImportFactsError(f"gpu_facts: {where}: {first['msg']}", "gpu_facts") from None
    accelerator = specs.accelerator(entry)
    if not accelerator.backends:
        raise ImportFactsError("'engines' must name an interface that an engine drives, such as cuda", "engines")
    return accelerator
