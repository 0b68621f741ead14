"""The API against its peers, side by side: `python -m bench.api [PostgreSQL URL]`.

PostgreSQL with the whole published table, one server process a side, 16 connections, every side asked the same by the
same generator, in turns; the ratio is that of the medians. Without a URL a database is started and filled first. What
is compared:

- the nested query, no response kept, against PostGraphile 5 and against a hand-written route with the same statement;
- the same with kept responses, against a route that returns the same bytes;
- a comparison of one model on 20 accelerators, against its statement alone;
- recommendations against a page of fits: for one user, and for several;
- the SQL of first pages of all fits under filters.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from bench.pages import SQL_BAR_MS, page_times, statements_of
from bench.support import postgraphile
from bench.support.queries import COMPARISON, NESTED, NESTED_POSTGRAPHILE, PAGE_OF_FITS, RECOMMENDATIONS, posts
from bench.support.serving import DATABASE_VARIABLE, api_argv, published_database, published_sqlite, serving
from db.fits.by_key import fetch_pairs
from tests.support.load_clients import Sent, generator, requests_per_s

ROUNDS = 5
SECONDS = 3.0
CONNECTIONS = 16
#: Models that the requests take in turn.
MODELS = 100
COMPARED_GPUS = 20
COMPARISONS = 40
BARS = {
    "PostGraphile": 1.0, "hand-written route": 0.5, "route with the same bytes": 0.5, "comparison": 3.0,
    "recommendations": 3.0, "recommendations for users": 10.0,
}  # fmt: skip
#: Accelerators and models whose recommendations are asked for, once each; those for users take longer.
CHOICES, CHOICES_FOR_USERS = 40, 20
USERS = 8


class Report:
    """Prints figures with their bars and remembers which were missed."""

    def __init__(self) -> None:
        self.missed = 0

    def ratio(self, label: str, value: float, bar: float, *, most: bool = False) -> None:
        """One line: a ratio that must be at least (at most) its bar."""
        held = value <= bar if most else value >= bar
        self.missed += not held
        sign = "at most" if most else "at least"
        print(f"  {label}: {value:.2f} (bar: {sign} {bar:g}) {'holds' if held else 'MISSED'}", flush=True)


def answer(port: int, sent: Sent) -> Any:
    """The parsed answer of one request. Raises RuntimeError for one with errors."""
    asked = Request(
        f"http://127.0.0.1:{port}{sent.path}",
        data=sent.body.encode() if sent.body else None,
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        method=sent.method,
    )
    with urlopen(asked, timeout=60) as response:
        parsed = json.loads(response.read())
    if "errors" in parsed:
        raise RuntimeError(f"{sent.path} answers {str(parsed['errors'])[:500]}")
    return parsed["data"]


def in_turns(sides: Mapping[str, tuple[int, Sequence[Sent]]]) -> dict[str, float]:
    """Median answers a second of each side, measured in turns so that all see the same machine."""
    for port, requests in sides.values():
        requests_per_s(port, requests, connections=CONNECTIONS, seconds=2.0)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, (port, requests) in sides.items():
            rates[name].append(requests_per_s(port, requests, connections=CONNECTIONS, seconds=SECONDS))
    return {name: statistics.median(measured) for name, measured in rates.items()}


def bench_nested(url: str, folder: Path, report: Report) -> None:
    """The nested query against PostGraphile and the hand-written route, and kept against the same bytes."""
    slugs = _models(url)
    environment = _environment(url, folder)
    variables = [{"model": slug} for slug in slugs]
    with ExitStack() as stack:
        uncached = _environment(url, folder, response_cache_bytes="0")
        api, _ = stack.enter_context(serving(api_argv(), "/readyz", uncached))
        kept, _ = stack.enter_context(serving(api_argv(), "/readyz", environment))
        routes_argv = [sys.executable, "-m", "bench.support.routes", "{port}"]
        routes, _ = stack.enter_context(serving(routes_argv, f"/fits/{slugs[0]}", environment))
        queries = posts(NESTED, variables)
        by_hand = [Sent("GET", f"/fits/{slug}") for slug in slugs]
        for query, route in zip(queries[:10], by_hand[:10], strict=True):
            if _comparable(answer(api, query)) != _comparable(answer(routes, route)):
                raise RuntimeError(f"the API and the route answer {query.body[-60:]} differently")
        sides: dict[str, tuple[int, Sequence[Sent]]] = {"API": (api, queries), "route": (routes, by_hand)}
        try:
            postgraphile.install(folder)
            print(
                f"  {postgraphile.version(folder)}: {postgraphile.unpack(url):,} fits in a plain unpacked table",
                flush=True,
            )
            peer, _ = stack.enter_context(postgraphile.peer(folder, url))
            peers = posts(NESTED_POSTGRAPHILE, variables)
            for query, other in zip(queries[:10], peers[:10], strict=True):
                _check_peer(answer(api, query), answer(peer, other))
            sides["PostGraphile"] = (peer, peers)
        except postgraphile.PeerUnavailableError as error:
            print(f"  PostGraphile is left out: {error}", flush=True)
        rates = in_turns(sides)
        print("  nested query, no response kept: " + _shown(rates), flush=True)
        if "PostGraphile" in rates:
            report.ratio("API over PostGraphile", rates["API"] / rates["PostGraphile"], BARS["PostGraphile"])
        report.ratio("API over a hand-written route", rates["API"] / rates["route"], BARS["hand-written route"])
        same = [Sent("GET", f"/kept/{slug}") for slug in slugs]
        rates = in_turns({"API": (kept, queries), "route": (routes, same)})
        print("  nested query, responses kept: " + _shown(rates), flush=True)
        report.ratio(
            "API over a route with the same bytes", rates["API"] / rates["route"], BARS["route with the same bytes"]
        )


def bench_comparison(url: str, folder: Path, report: Report) -> None:
    """One model on 20 accelerators, all quants: the whole request against its statement, both one at a time."""
    slugs = _models(url)[:COMPARISONS]
    with statements_of(url) as made:
        gpus = list(made.ids("gpu"))
        chosen = gpus[:: len(gpus) // COMPARED_GPUS][:COMPARED_GPUS]
        with serving(api_argv(), "/readyz", _environment(url, folder, response_cache_bytes="0")) as (port, _):
            connection = HTTPConnection("127.0.0.1", port)
            whole, alone = [], []
            for slug in slugs:
                query = posts(COMPARISON, [{"model": slug, "gpus": chosen}])[0]
                answer(port, query)
                pairs = [(made.ids("model")[slug], made.ids("gpu")[gpu]) for gpu in chosen]
                statement, parameters = made.of(
                    lambda reader, pairs=pairs: fetch_pairs(reader, made.generation, pairs, [1])
                )
                made.timed_ms(statement, parameters)
                # Both have run once, and each is timed right after the other: neither finds the machine warmer.
                began = time.perf_counter()
                connection.request("POST", query.path, query.body, {"Content-Type": "application/json"})
                connection.getresponse().read()
                whole.append((time.perf_counter() - began) * 1e3)
                alone.append(made.timed_ms(statement, parameters))
            connection.close()
    kept = slice(COMPARISONS // 4, None)
    report.ratio(
        f"comparison of 1 model x {COMPARED_GPUS} accelerators x all quants, request over its statement",
        statistics.median(whole[kept]) / statistics.median(alone[kept]),
        BARS["comparison"],
        most=True,
    )


def bench_choices(url: str, folder: Path, report: Report) -> None:
    """Recommendations that nobody asked for before, over pages of fits, one request at a time."""
    with statements_of(url) as made:
        gpus = list(made.ids("gpu"))
    gpus, models = gpus[:: len(gpus) // CHOICES][:CHOICES], _models(url)[:CHOICES]
    fits = posts(PAGE_OF_FITS, [{"gpu": gpu} for gpu in gpus])
    sides = {"models for a machine": ("gpu", gpus), "machines for a model": ("model", models)}
    with serving(api_argv(), "/readyz", _environment(url, folder, response_cache_bytes="0")) as (port, _):
        _milliseconds(port, [fits[0], *posts(RECOMMENDATIONS, [{"for": {"model": models[-1]}}])])
        page = statistics.median(_milliseconds(port, fits))
        for name, (side, slugs) in sides.items():
            alone = _milliseconds(port, posts(RECOMMENDATIONS, [{"for": {side: slug}} for slug in slugs]))
            report.ratio(
                f"{name}, p50 over that of a page of fits", statistics.median(alone) / page, BARS["recommendations"],
                most=True,
            )  # fmt: skip
            asked = [
                {"for": {side: slug, "target": {"users": USERS}}} for slug in (slugs[-1], *slugs[:CHOICES_FOR_USERS])
            ]
            # The first makes what a server makes once.
            times = sorted(_milliseconds(port, posts(RECOMMENDATIONS, asked))[1:])
            late = times[math.ceil(0.95 * len(times)) - 1]
            report.ratio(
                f"{name} for {USERS} users, p95 over the p50 of a page of fits", late / page,
                BARS["recommendations for users"], most=True,
            )  # fmt: skip


def _milliseconds(port: int, requests: Sequence[Sent]) -> list[float]:
    times = []
    for request in requests:
        began = time.perf_counter()
        answer(port, request)
        times.append((time.perf_counter() - began) * 1e3)
    return times


def bench_pages(url: str, report: Report) -> None:
    """First pages of all fits, fastest first, under filters: plan and time of each statement."""
    with statements_of(url) as made:
        print(f"  {made.dialect}: first 20 of {made.generation.cells:,} fits by decode speed", flush=True)
        for name, milliseconds, by_index in page_times(made):
            how = "in the order of an index" if by_index else "NOT in the order of an index"
            report.missed += not by_index
            report.ratio(f"{name}, {how}, milliseconds of SQL", milliseconds, SQL_BAR_MS, most=True)


def _models(url: str) -> list[str]:
    """Slugs of models that fill a page."""
    with statements_of(url) as made:
        slugs = made.rows(
            f"SELECT m.slug FROM model m JOIN {made.generation.table} f ON f.model_id = m.id WHERE f.decode_1 > 0 "
            "GROUP BY m.slug HAVING count(*) > 100 ORDER BY m.slug"
        )
    return [row[0] for row in slugs][:: max(1, len(slugs) // MODELS)][:MODELS]


def _environment(url: str, folder: Path, **settings: str) -> dict[str, str]:
    given = {"database_url": url, "state_dir": str(folder), "redis_url": "", **settings}
    return {f"FITGRAPH_{name.upper()}": value for name, value in given.items()}


def _comparable(data: Any) -> Any:
    """An answer without its cursor, which is sealed with the filter of its list."""
    data["model"]["fits"]["pageInfo"].pop("endCursor")
    return data


def _check_peer(own: Any, other: Any) -> None:
    """Raise RuntimeError unless both pages hold the same fits in the same order of speeds."""
    ours, theirs = own["model"]["fits"]["nodes"], other["modelBySlug"]["fits"]["nodes"]
    for mine, its in zip(ours, theirs, strict=True):
        marks = (mine["status"], mine["grade"]) == (its["status"], its["grade"])
        same = marks and abs(mine["decode"]["tokensPerSecond"] / its["decodeTokS"] - 1) < 1e-6
        tied = [node for node in theirs if node["gpu"]["slug"] == mine["gpu"]["slug"]]
        if not same or (mine["gpu"] == its["gpu"] and mine["memory"]["totalBytes"] != int(its["totalBytes"])):
            raise RuntimeError(f"the API and PostGraphile differ: {mine} and {its} ({len(tied)} of this accelerator)")


def _shown(rates: Mapping[str, float]) -> str:
    best = max(rates.values())
    return ", ".join(f"{name} {rate / best:.2f}" for name, rate in rates.items()) + " of the fastest"


def main(arguments: list[str]) -> int:
    """Run all. Returns 1 when a bar was missed."""
    report = Report()
    print(f"load by {generator()}, {CONNECTIONS} connections, median of {ROUNDS} turns of {SECONDS:g} s", flush=True)
    if arguments:
        os.environ[DATABASE_VARIABLE] = arguments[0]
    with tempfile.TemporaryDirectory(prefix="fitgraph-bench-") as name:
        folder = Path(name)
        with published_database(folder) as url:
            bench_nested(url, folder, report)
            bench_comparison(url, folder, report)
            bench_choices(url, folder, report)
            bench_pages(url, report)
        with published_sqlite(folder) as url:
            bench_pages(url, report)
    return 1 if report.missed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
