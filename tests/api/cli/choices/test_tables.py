"""Tables lose no letter on a narrow terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from api.cli.choices.tables import print_table

CELLS = (
    "1",
    "GeForce RTX 4070 Ti Super in Desktop for one card",
    "Q4_K_M",
    "llama.cpp",
    "1,446",
    "It answers as fast. " * 4,
)


def printed(width: int, *spare: str, cells: tuple[str, ...] = CELLS) -> list[str]:
    table = Table(box=None, pad_edge=False)
    for name in ("", "Machine", "Quantization", "Engine", "US dollars", "Why"):
        table.add_column(name, no_wrap=name not in ("Machine", "Why"))
    table.add_row(*cells)
    out = io.StringIO()
    print_table(Console(file=out, width=width), table, spare)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 110, 200])
def test_every_letter_is_printed_within_the_width(width: int) -> None:
    lines = printed(width)
    assert all(len(line) <= width for line in lines)
    words = " ".join(lines).split()
    assert sorted(word for cell in CELLS for word in cell.split()) == sorted(
        word for word in words if word not in ("Machine", "Quantization", "Engine", "US", "dollars", "Why", "·")
    )


def test_a_table_has_a_heading_where_it_has_room_and_names_figures_elsewhere() -> None:
    assert printed(200)[0].split() == ["Machine", "Quantization", "Engine", "US", "dollars", "Why"]
    assert "   Quantization Q4_K_M · Engine llama.cpp · US dollars 1,446" in printed(80)


def test_a_spare_column_is_left_out_before_the_table_is() -> None:
    room = next(width for width in range(40, 200) if len(printed(width, "Engine")[0].split()) == 5)
    assert "llama.cpp" not in " ".join(printed(room, "Engine"))
    assert "Engine llama.cpp" in " ".join(printed(room - 1, "Engine"))
