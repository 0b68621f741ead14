"""Quantities as people read them."""

from __future__ import annotations

GIB = 1024**3


def gib(count: float) -> str:
    """Bytes in GiB as people read them: two digits below ten, one below a hundred, else none."""
    value = count / GIB
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f} GiB"


def tokens(count: int) -> str:
    """A token count in full below 10,000, else in whole K of 1,024 (so 16,384 reads 16K)."""
    return f"{count:,}" if count < 10_000 else f"{count // 1024:,}K"


def pace(tok_s: float) -> str:
    """A speed in tok/s: one digit below 100, else none."""
    return f"{tok_s:,.1f} tok/s" if tok_s < 100 else f"{tok_s:,.0f} tok/s"


def duration(milliseconds: float) -> str:
    """A time in milliseconds below a second, else in seconds, else in minutes."""
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds >= 600 else f"{seconds:.0f} s"
