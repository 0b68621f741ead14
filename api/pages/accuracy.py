"""The page of the accuracy: errors of speed, capability and loss, and the whole report on speed."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from api.catalog.fit_reads import FitReads
from api.errors import NotFoundError
from api.pages.catalog.traits import ABILITY_NAMES
from api.pages.responses import COMMON, breadcrumbs, html
from estimator.calibration.loss import LossTable
from estimator.judgement.capability import CapabilityTable

#: The report that ``fitgraph validate`` writes; a wheel has a copy.
REPORT = Path(__file__).parents[2] / "docs" / "validation.md"
_PREDICTIONS = (
    ("other benchmarks", "half of a model's benchmark families, from the other half"),
    ("model left out", "the prior and its neighbours, model left out"),
    ("release left out", "the prior and its neighbours, whole release left out"),
    ("family left out", "the prior alone, whole family left out"),
)
_LOSSES = (
    ("model left out", "model left out"),
    ("publisher left out", "publisher left out"),
    ("one row as anchor", "one row as anchor"),
)
_HEADING = re.compile(r"(##+) (.*)")
#: Rows up to which a section is open at first.
_OPEN_ROWS = 20
_CELLS = re.compile(r"(?<!\\)\|")


async def accuracy_page(request: Request, reads: FitReads, base_url: str) -> Response:
    values = await asyncio.to_thread(_values)
    values["structured_data"] = breadcrumbs(base_url, ("fitgraph", "/"), ("Accuracy", "/accuracy"))
    return html("accuracy.html", values, base_url, "/accuracy")


async def accuracy_plot(request: Request, reads: FitReads, base_url: str) -> Response:
    """A picture of the report."""
    name = request.path_params["name"]
    if name not in ("decode", "prefill"):
        raise NotFoundError("plot", name)
    return FileResponse(REPORT.with_name(f"validation-{name}.png"), headers=dict(COMMON))


@lru_cache(maxsize=1)
def _values() -> dict[str, Any]:
    able, loss = CapabilityTable.load().accuracy, LossTable.load().accuracy
    return {
        "kinds": list(ABILITY_NAMES.items()),
        "able": [(words, {kind: able[name][kind] for kind in ABILITY_NAMES}) for name, words in _PREDICTIONS],
        "able_counts": (able["results"], able["models"], able["benchmarks"]),
        "loss": [(words, loss[name]) for name, words in _LOSSES],
        "report": rendered(REPORT.read_text(encoding="utf-8")),
    }


def rendered(text: str) -> Markup:
    """A report in HTML: its headings a step down, paragraphs, lists, tables and pictures; nothing else of Markdown.

    What stands below a heading folds. The strata of an error, a level further down, are folded at first, and so is a
    section with more than ``_OPEN_ROWS`` rows of its own.
    """
    sections: list[tuple[int, str, list[Markup]]] = [(0, "", [])]
    for place, block in enumerate(re.split(r"\n\s*\n", text.strip())):
        if heading := _HEADING.fullmatch(block):
            sections.append((len(heading[1]) - 1, heading[2], []))
        elif not block.startswith("# "):
            sections[-1][2].append(_block(block, place))
    _, _, made = sections[0]
    depth = 0
    for level, title, parts in sections[1:]:
        made += [Markup("</details>")] * (depth - level + 1)
        is_open = level == 1 and sum(part.count("<tr>") for part in parts) <= _OPEN_ROWS
        made.append(
            Markup("<details{0}><summary><h{1}>{2}</h{1}></summary>").format(
                Markup(" open" if is_open else ""), level + 2, title
            )
        )
        made += parts
        depth = level
    return Markup("\n").join(made + [Markup("</details>")] * depth)


def _block(block: str, place: int) -> Markup:
    if picture := re.fullmatch(r"!\[(.*)\]\(validation-(\w+)\.png\)", block):
        return Markup('<p><img src="/accuracy/{}.png" alt="{}" width="640" loading="lazy"></p>').format(
            picture[2], picture[1]
        )
    lines = block.split("\n")
    if all(line.startswith("|") for line in lines):
        return _table(lines, f"Table {place} of the report")
    if all(line.startswith("- ") for line in lines):
        return Markup("<ul>{}</ul>").format(
            Markup("").join(Markup("<li>{}</li>").format(_inline(line[2:])) for line in lines)
        )
    return Markup("<p>{}</p>").format(_inline(" ".join(lines)))


def _table(lines: list[str], label: str) -> Markup:
    head, marks, *body = [[cell.strip() for cell in _CELLS.split(line.strip().strip("|"))] for line in lines]
    numeric = [Markup(' class="n"') if mark.endswith(":") else Markup("") for mark in marks]

    def row(cells: list[str], tag: str, scope: str) -> Markup:
        cells_html = [
            Markup('<th scope="{}"{}>{}</th>').format(scope, kind, _inline(cell))
            if cell and (tag == "th" or place == 0)
            else Markup("<td{}>{}</td>").format(kind, _inline(cell))
            for place, (cell, kind) in enumerate(zip(cells, numeric, strict=True))
        ]
        return Markup("<tr>{}</tr>").format(Markup("").join(cells_html))

    rows = Markup("").join(row(cells, "td", "row") for cells in body)
    return Markup(
        '<div class="scroll" role="region" aria-label="{0}" tabindex="0"><table class="list"><caption class="spoken">{0}</caption>'
        "<thead>{1}</thead><tbody>{2}</tbody></table></div>"
    ).format(label, row(head, "th", "col"), rows)


def _inline(text: str) -> Markup:
    """Bold and stressed text and code inside a line."""
    marked = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", str(escape(text)))
    marked = re.sub(r"(?<!\w)\*(\w[^*]*)\*(?!\w)", r"<em>\1</em>", marked)
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", marked))
