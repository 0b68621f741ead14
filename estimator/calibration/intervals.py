"""Names of the effects on the width of a range (:mod:`estimator.accuracy.spread` fits them)."""

from __future__ import annotations

#: The slope on the depth of the context.
DEPTH = "depth"


def names_of(is_moe: bool, backend: str, engine: str | None) -> tuple[str, ...]:
    """Names of the effects that apply to a case; ``engine`` is None for llama.cpp and its fronts."""
    found = [f"backend:{backend}"]
    if is_moe:
        found.append("moe")
    if engine is not None:
        found += ["engine", f"engine:{engine}"]
    return tuple(found)
