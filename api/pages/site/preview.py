"""The pictures that link previews show: PNGs of 1200 by 630 pixels, drawn from a table of letters; icons.

The letters are those of DejaVu Sans 2.37 (free licence, https://dejavu-fonts.github.io/License.html), bold at 60 and regular
at 34 pixels, rendered once into a table of coverages, so that the server needs no image library.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from api.answers.story import Answers
from api.catalog.fit_reads import FitReads
from api.pages.cards import card
from api.pages.pairs import load_pair
from api.pages.responses import COMMON
from api.pages.wording import GPU_KINDS, billions, context_tokens, memory_gib

WIDTH, HEIGHT = 1200, 630
_LETTERS = Path(__file__).parents[1] / "static" / "glyphs.npz"
Colour = tuple[int, int, int]
_PAPER, _INK, _SOFT = (255, 255, 255), (22, 26, 33), (80, 90, 105)
_TONES: dict[str, Colour] = {"good": (23, 116, 58), "fair": (135, 86, 0), "bad": (179, 38, 30)}
#: Bars of the mark: left edge and height as parts of its size.
_MARK: tuple[tuple[float, float, Colour], ...] = (
    (0.0, 0.46, (160, 90, 0)), (0.365, 0.73, (53, 102, 197)), (0.73, 1.0, (23, 116, 58)),
)  # fmt: skip
_BAR = 0.27
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
    """The picture of a pairing."""
    pair = await load_pair(reads, request.path_params["address"], request.query_params)
    preview = card(pair, base_url)
    figures = [f"{value} {name.lower()}" for name, value in preview["numbers"][:2]]
    tone = _TONES[preview["tone"]]
    below = [(f"on {preview['gpu_name']}", _SOFT), (Answers(pair.chosen).headline, tone)]
    return await _image(preview["model_name"], below, [*figures, preview["quant_name"], preview["workload_name"]], tone)


async def model_image(request: Request, reads: FitReads, base_url: str) -> Response:
    """The picture of a model."""
    entry = reads.view.model(request.path_params["model"]).entry
    size = f"{billions(entry['params_total_b'])} weights, {context_tokens(entry['context_length'])} tokens of context"
    below = [(entry["publisher"], _SOFT), (size, _INK)]
    return await _image(entry["name"], below, ["Capability, and every machine that runs it"])


async def gpu_image(request: Request, reads: FitReads, base_url: str) -> Response:
    """The picture of an accelerator."""
    gpu = reads.view.gpu(request.path_params["gpu"])
    entry, bandwidth = gpu.entry, gpu.entry["bandwidth_gbps"]
    memory = f"{memory_gib(entry['memory_gb'])} of memory" + (f" at {bandwidth:,.0f} GB/s" if bandwidth else "")
    below = [(GPU_KINDS.get(entry["kind"], ""), _SOFT), (memory, _INK)]
    return await _image(gpu.name, below, ["The best models for it, in tiers by capability and speed"])


async def site_image(request: Request, reads: FitReads, base_url: str) -> Response:
    """The picture of every other page."""
    view = reads.view
    below = [(f"{len(view.models):,} open-weight models on {len(view.gpus):,} accelerators", _SOFT)]
    return await _image("Which model runs on which machine, and how well?", below, ["Fit, speed, quality and price"])


async def touch_icon(request: Request, reads: FitReads, base_url: str) -> Response:
    """The icon of a home screen, which takes no SVG."""
    return _png(png(icon_of(180)))


async def old_icon(request: Request, reads: FitReads, base_url: str) -> Response:
    """The icon for programs that ask for this address whatever a page says: one PNG in a frame of Windows icons."""
    image = png(icon_of(32))
    frame = struct.pack("<HHHBBBBHHII", 0, 1, 1, 32, 32, 0, 0, 1, 24, len(image), 22)
    return Response(frame + image, media_type="image/vnd.microsoft.icon", headers=dict(COMMON))


def icon_of(size: int) -> NDArray[np.uint8]:
    """The mark on paper, (size, size, 3)."""
    canvas = np.full((size, size, 3), _PAPER, np.uint8)
    _draw_mark(canvas, size // 8, size - size // 8, size * 3 / 4)
    return canvas


def _draw_mark(canvas: NDArray[np.uint8], x: int, bottom: int, size: float) -> None:
    """Three bars in a square of ``size`` pixels."""
    for left, high, colour in _MARK:
        from_x, width = x + round(left * size), round(_BAR * size)
        canvas[bottom - round(high * size) : bottom, from_x : from_x + width] = colour


async def _image(title: str, below: Sequence[tuple[str, Colour]], last: Sequence[str], tone: Colour = _INK) -> Response:
    return _png(await asyncio.to_thread(picture, title, below, last, tone))


def _png(image: bytes) -> Response:
    return Response(image, media_type="image/png", headers={**COMMON, "Cross-Origin-Resource-Policy": "cross-origin"})


def picture(title: str, below: Sequence[tuple[str, Colour]], last: Sequence[str], tone: Colour) -> bytes:
    """A picture in PNG: the site, a title of at most two lines, one or two texts below it, and a line of figures."""
    large, small = letters("title"), letters("text")
    canvas = np.full((HEIGHT, WIDTH, 3), _PAPER, np.uint8)
    canvas[:, :16] = tone
    _draw_mark(canvas, _MARGIN, 44 + 92, 92)
    large.draw(canvas, "fitgraph", _MARGIN + 108, 44 + 78, _INK)
    y, room = 228, WIDTH - 2 * _MARGIN
    for line in large.lines(title, room, 2):
        large.draw(canvas, line, _MARGIN, y, _INK)
        y += 72
    for place, (text, colour) in enumerate(below, 1):
        for line in small.lines(text, room, 2 if place == len(below) else 1):
            small.draw(canvas, line, _MARGIN, y, colour)
            y += 52
    small.draw(canvas, small.lines(" · ".join(last), room, 1)[0], _MARGIN, HEIGHT - 56, _INK)
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
