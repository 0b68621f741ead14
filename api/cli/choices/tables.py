"""Tables of a terminal: whole where they have room, else without what is spare, else each row in lines of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

#: Columns of text that may be folded have at least this width, where they are so long.
_LEAST_FOLDED = 24
_GAP = 2
_INDENT = "   "


def print_table(console: Console, table: Table, spare: Sequence[str] = ()) -> None:
    """Print a table without a frame. Columns called ``spare`` are left out where the rest has room without them."""
    for count in range(len(spare) + 1):
        shown = [column for column in table.columns if column.header not in spare[:count]]
        if _width(shown) <= console.width:
            console.print(_of_columns(shown))
            return
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        _print_row(console, table.columns, [str(cell) for cell in cells])


def _width(columns: Collection[Column]) -> int:
    longest = [max(cell_len(str(text)) for text in (column.header, *column.cells)) for column in columns]
    widths = [
        most if column.no_wrap else min(most, _LEAST_FOLDED) for column, most in zip(columns, longest, strict=True)
    ]
    return sum(widths) + _GAP * (len(widths) - 1)


def _of_columns(columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.header, justify=column.justify, no_wrap=column.no_wrap)
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


def _print_row(console: Console, columns: Sequence[Column], cells: Sequence[str]) -> None:
    """The rank and the name on the first line, then named figures, then texts."""
    named = 1 if columns[0].header else 2
    console.print("  ".join(cells[:named]), markup=False)
    rest = [(column, cell) for column, cell in zip(columns[named:], cells[named:], strict=True) if cell]
    figures = [f"{column.header} {cell}" for column, cell in rest if column.no_wrap]
    texts = [cell for column, cell in rest if not column.no_wrap]
    for line in (*_filled(figures, console.width - len(_INDENT)), *texts):
        for part in _filled(line.split(" "), console.width - len(_INDENT), " "):
            console.print(f"{_INDENT}{part}", markup=False)


def _filled(parts: Iterable[str], width: int, between: str = " · ") -> list[str]:
    """Lines of at most ``width`` letters, each of as many whole parts as it holds."""
    lines: list[str] = []
    for part in parts:
        if lines and cell_len(lines[-1]) + len(between) + cell_len(part) <= width:
            lines[-1] += f"{between}{part}"
        else:
            lines.append(part)
    return lines
