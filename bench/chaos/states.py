"""Catalog states that the chaos bench publishes in turn, their expected rows, and clients that read during the faults."""

from __future__ import annotations

import dataclasses
import itertools
import random
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bench.support.catalogs import rebuilt
from bench.support.threads import Background
from db.entries.files import Catalog, load_catalog
from db.fits.generations import current_generation_sync
from db.session import make_engine
from tests.support.published_rows import VISIBLE, Key, computed_alone

MODELS = 10
GPUS = 16


class States:
    """A small catalog in four states, each computed once by one process without faults.

    From one state to the next either every accelerator changes (a rebuild) or a single accelerator (an update in place).
    """

    def __init__(self, folder: Path) -> None:
        whole = load_catalog()
        models = dict(evenly_spread(whole.models, MODELS))
        gpus = dict(evenly_spread(whole.gpus, GPUS))
        base = dataclasses.replace(whole, models=models, gpus=gpus)
        self.models, changed = tuple(models), next(iter(gpus))
        factors = ((1.0, 1.0), (1.25, 1.0), (1.25, 0.5), (1.0, 0.5))
        self.catalogs = [
            rebuilt(
                dataclasses.replace(
                    base, gpus={slug: _at(gpus[slug], by * (of_one if slug == changed else 1.0)) for slug in gpus}
                )
            )
            for by, of_one in factors
        ]
        self.expected = {
            state.revision: computed_alone(state, folder / str(at)) for at, state in enumerate(self.catalogs)
        }
        self._turn, self._poison = itertools.count(1), itertools.cycle(self.models)

    def following(self) -> Catalog:
        return self.catalogs[next(self._turn) % len(self.catalogs)]

    def poisoned(self, served: str) -> Catalog:
        """The next state with one model whose block fails at every try: its weights exceed the range of a row.

        The expected rows of the state are the new rows of the other models and the old rows of this model.
        """
        healthy = self.following()
        poison = next(self._poison)
        entry = {**healthy.models[poison], "vocab_size": 10**13}
        sick = rebuilt(dataclasses.replace(healthy, models={**healthy.models, poison: entry}))
        before, after = self.expected[served], self.expected[healthy.revision]
        rows = {key: row for key, row in after.items() if key[0] != poison}
        self.expected[sick.revision] = rows | {key: row for key, row in before.items() if key[0] == poison}
        return sick


def evenly_spread(entries: Mapping[str, Any], count: int) -> list[tuple[str, Any]]:
    """``count`` entries with all facts that an estimate needs, evenly spread."""
    from db.entries import specs

    known = [(slug, entry) for slug, entry in entries.items() if not specs.missing_facts(entry)]
    return known[:: max(1, len(known) // count)][:count]


def _at(entry: dict[str, Any], factor: float) -> dict[str, Any]:
    """The accelerator with ``factor`` times its bandwidth."""
    return {**entry, "bandwidth_gbps": entry["bandwidth_gbps"] * factor}


class Readers(Background):
    """Two clients, one by SQL and one by GraphQL, that read whole states in several steps without pause."""

    def __init__(self, url: str, address: str, states: States, seed: int) -> None:
        self.url, self.address, self.states = url, address, states
        self.counts: Counter[str] = Counter()
        self.examples: list[str] = []
        self._random = random.Random(seed)
        super().__init__(self._by_sql, self._by_graphql)

    def _by_sql(self) -> None:
        engine = make_engine(self.url)
        while not self._stopping.wait(0.02):
            try:
                self._judge("SQL", *self._read_sql(engine))
            except SQLAlchemyError:
                self.counts["interrupted"] += 1
        engine.dispose()

    def _read_sql(self, engine: Engine) -> tuple[str, dict[Key, Any]]:
        """Revision and decode speeds of one generation; each model in its own transaction, with pauses between."""
        with engine.connect() as connection:
            generation = current_generation_sync(connection)
        if generation is None:
            return "", {}
        decodes: dict[Key, Any] = {}
        for model in self.states.models:
            with engine.connect() as connection:
                rows = connection.execute(
                    text(
                        f"SELECT g.slug, n.slug, f.decode_0 FROM {generation.table} f JOIN gpu g ON g.id = f.gpu_id "
                        f"JOIN quant n ON n.id = f.quant_id JOIN model m ON m.id = f.model_id WHERE m.slug = :m AND {VISIBLE}"
                    ),
                    {"m": model, "g": generation.id},
                ).all()
            for gpu, quant, decode in rows:
                key = (model, gpu, quant)
                decodes[key] = decode if key not in decodes else "doubled"
            time.sleep(self._random.uniform(0, 0.01))
        return generation.revision, decodes

    def _judge(self, client: str, revision: str, decodes: dict[Key, Any]) -> None:
        if not revision:
            return
        expected = self.states.expected.get(revision)
        self.counts["reads"] += 1
        wanted = None if expected is None else {key: row[1] for key, row in expected.items()}
        if decodes != wanted:
            self._mixed(f"{client}: {len(decodes)} rows of revision {revision[:12]} are not those of that state")

    def _mixed(self, example: str) -> None:
        self.counts["mixed"] += 1
        self.examples.append(example)

    def _by_graphql(self) -> None:
        while not self._stopping.wait(0.05):
            try:
                self._read_graphql(self._random.sample(self.states.models, 3))
            except (OSError, urllib.error.URLError, ValueError):
                self.counts["interrupted"] += 1

    def _read_graphql(self, models: list[str]) -> None:
        """Read the fits of some models in one request; each field needs its own statement."""
        fields = " ".join(
            f'm{at}: fits(filter: {{model: {{in: ["{slug}"]}}, workload: {{in: [CHAT]}}}}, first: 100) '
            "{ edges { node { source model { slug } gpu { slug } quant { slug } decode { tokensPerSecond } } } }"
            for at, slug in enumerate(models)
        )
        body = orjson.dumps({"query": f"{{ catalog {{ revision }} {fields} }}"})
        request = urllib.request.Request(self.address, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            response = orjson.loads(answer.read())
        if response.get("errors") or not response.get("data"):
            self.counts["interrupted"] += 1
            return
        data = response["data"]
        expected = self.states.expected.get(data["catalog"]["revision"])
        nodes = [edge["node"] for at in range(len(models)) for edge in data[f"m{at}"]["edges"]]
        self.counts["reads"] += 1
        for node in nodes:
            key = (node["model"]["slug"], node["gpu"]["slug"], node["quant"]["slug"])
            row = None if expected is None else expected.get(key)
            speed = 0.0 if node["decode"] is None else node["decode"]["tokensPerSecond"]
            wanted = None if row is None else float(np.array(row[1], np.int32).view(np.float32))
            if wanted is None or abs(speed - wanted) > 1e-5 * max(wanted, 1.0):
                self._mixed(
                    f"GraphQL: {key} has {speed}, {wanted} is that of revision {data['catalog']['revision'][:12]}"
                )
                return
