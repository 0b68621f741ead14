"""The picture that link previews show of a pairing: a PNG of 1200 by 630 pixels, drawn from a table of letters.

The letters are those of DejaVu Sans 2.37 (free licence, https://dejavu-fonts.github.io/License.html), bold at 60 and regular
at 34 pixels, rendered once into a table of coverages, so that the server needs no image library.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from api.answers.story import Answers
from api.catalog.fit_reads import FitReads
from api.pages.cards import card
from api.pages.pairs import Pair, load_pair
from api.pages.responses import COMMON

WIDTH, HEIGHT = 1200, 630
_LETTERS = Path(__file__).parents[1] / "static" / "glyphs.npz"
Colour = tuple[int, int, int]
_PAPER, _INK, _SOFT = (255, 255, 255), (22, 26, 33), (80, 90, 105)
_TONES: dict[str, Colour] = {"good": (23, 116, 58), "fair": (135, 86, 0), "bad": (179, 38, 30)}
_MARK: tuple[tuple[int, int, Colour], ...] = ((0, 40, (160, 90, 0)), (22, 64, (53, 102, 197)), (44, 92, (23, 116, 58)))
_MARGIN = 72


class Letters:
    """One size of the letters: coverage of each, 0 to 255, and its place on the line."""

    def __init__(self, name: str) -> None:
        with np.load(_LETTERS) as table:
            self._places = {letter: place for place, letter in enumerate(str(table["characters"]))}
            self._cells: NDArray[np.uint8] = table[name]
            self._advance, self._left, self._top = (table[f"{name}_{part}"] for part in ("advance", "left", "top"))

    def _place(self, letter: str) -> int:
        return self._places.get(letter, self._places["?"])

    def width(self, text: str) -> int:
        """Width of a text, pixels."""
        return int(sum(self._advance[self._place(letter)] for letter in text))

    def draw(self, canvas: NDArray[np.uint8], text: str, x: int, baseline: int, colour: Colour) -> None:
        """Write a text onto a canvas of shape (height, width, 3); what lies outside of it is left out."""
        for letter in text:
            place = self._place(letter)
            left, top = x + int(self._left[place]), baseline - int(self._top[place])
            area = canvas[max(top, 0) : top + self._cells.shape[1], max(left, 0) : left + self._cells.shape[2]]
            share = self._cells[place][: area.shape[0], : area.shape[1], None] / 255.0
            area[:] = (area * (1.0 - share) + np.array(colour) * share).astype(np.uint8)
            x += int(self._advance[place])

    def lines(self, text: str, width: int, most: int) -> list[str]:
        """A text broken between words into at most ``most`` lines; the last one is cut where it is too long."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if not lines[-1] or self.width(longer) <= width or len(lines) == most:
                lines[-1] = longer
            else:
                lines.append(word)
        while self.width(lines[-1]) > width:
            lines[-1] = lines[-1].rstrip("…·")[:-2] + "··"
        return lines


@lru_cache(maxsize=2)
def letters(name: str) -> Letters:
    """Letters of a size, read once: "title" or "text"."""
    return Letters(name)


async def preview_image(request: Request, reads: FitReads, base_url: str) -> Response:
    pair = await load_pair(reads, request.path_params["address"], request.query_params)
    image = await asyncio.to_thread(picture, pair, base_url)
    return Response(image, media_type="image/png", headers={**COMMON, "Cross-Origin-Resource-Policy": "cross-origin"})


def picture(pair: Pair, base_url: str) -> bytes:
    """The picture of a pairing in PNG."""
    shown, title, text = card(pair, base_url), letters("title"), letters("text")
    tone = _TONES[shown["tone"]]
    canvas = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    canvas[:] = _PAPER
    canvas[:, :16] = tone
    for x, high, colour in _MARK:
        canvas[72 + 92 - high : 72 + 92, _MARGIN + x : _MARGIN + x + 16] = colour
    title.draw(canvas, "fitgraph", _MARGIN + 84, 72 + 78, _INK)
    y, room = 262, WIDTH - 2 * _MARGIN
    for line in title.lines(shown["model_name"], room, 2):
        title.draw(canvas, line, _MARGIN, y, _INK)
        y += 72
    text.draw(canvas, text.lines(f"on {shown['gpu_name']}", room, 1)[0], _MARGIN, y, _SOFT)
    for line in text.lines(Answers(pair.chosen).headline, room, 2):
        y += 62
        text.draw(canvas, line, _MARGIN, y, tone)
    figures = [f"{value} {name.lower()}" for name, value in shown["numbers"][:2]]
    last = " · ".join([*figures, shown["quant_name"], shown["workload_name"]])
    text.draw(canvas, text.lines(last, room, 1)[0], _MARGIN, HEIGHT - 56, _INK)
    return png(canvas)


def png(canvas: NDArray[np.uint8]) -> bytes:
    """A canvas of shape (height, width, 3) as a PNG file (ISO/IEC 15948): one filter byte before each row."""
    height, width, _ = canvas.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = canvas.reshape(height, 3 * width)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
