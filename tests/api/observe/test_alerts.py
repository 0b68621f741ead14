"""The dashboard and the alert rules on the metrics of a real server: every name is exported, and every alert fires."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest
import yaml
from sqlalchemy import text

import db
from db.entries.files import Catalog
from db.fits.generations import LAYOUT
from db.session import sync_engine, upgrade_database, writing
from db.settings import Settings
from tests.support.metrics import Scrape, evaluate, names_of
from tests.support.runs import run_in_process
from tests.support.servers import ApiServer, api_server
from workers.local.broker import Broker
from workers.local.supervisor import environment
from workers.runs import cancel_run, start_run

pytestmark = pytest.mark.broker
REFERENCE = Path(str(db.__file__)).parents[1] / "docs" / "reference"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((REFERENCE / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
PANELS = json.loads((REFERENCE / "grafana.json").read_text())["panels"]
QUERY = {"query": "{ fits(first: 1) { nodes { score } } gpu(slug: 5) { name } }"}
#: Made by Prometheus itself.
OF_PROMETHEUS = {"up"}
STEP_S = 60.0


@dataclass
class Installation:
    """A server with its database and broker, and its scrapes, a minute apart by their own clock."""

    settings: Settings
    server: ApiServer
    client: httpx.Client
    broker: Broker
    at_s: float = 0.0

    def scrape(self) -> Scrape:
        self.at_s += STEP_S
        # A server looks for a newer generation ten times a second at most.
        time.sleep(0.2)
        try:
            return Scrape(self.at_s, self.client.get("/metrics").text)
        except httpx.TransportError:
            return Scrape(self.at_s, None)

    def execute(self, statement: str) -> None:
        with writing(sync_engine(self.settings.resolved_database_url)) as connection:
            connection.execute(text(statement))

    def fired(self, before: Scrape) -> set[str]:
        """Alerts whose condition holds at a scrape of now, with one before."""
        scrapes = [before, self.scrape()]
        return {name for name, rule in RULES.items() if evaluate(rule["expr"], scrapes)}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, small_catalog: Catalog) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("alerts")
    settings = Settings(state_dir=folder / "state", generation_grace_s=0)
    upgrade_database(settings.resolved_database_url)
    run_in_process(settings, small_catalog)
    broker = Broker(settings)
    broker.start()
    variables = {name.removeprefix("FITGRAPH_").lower(): value for name, value in environment(settings).items()}
    with (
        api_server(folder, **variables, metrics="true", response_cache_bytes="0") as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        yield Installation(settings, server, client, broker)
    broker.stop()
    sync_engine(settings.resolved_database_url).dispose()


def test_the_dashboard_asks_for_what_is_exported(installation: Installation) -> None:
    installation.client.post("/graphql", json=QUERY)
    scrapes = [installation.scrape(), installation.scrape()]
    exported = {name for name, _, _ in scrapes[-1].samples}
    for panel in PANELS:
        for target in panel["targets"]:
            expression = target["expr"].replace("$instance", ".*")
            assert names_of(expression) <= exported, panel["title"]
            assert evaluate(expression, scrapes), panel["title"]
    for rule in RULES.values():
        assert names_of(rule["expr"]) - OF_PROMETHEUS <= exported, rule["alert"]
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_every_alert_fires_in_its_state_alone(installation: Installation, small_catalog: Catalog) -> None:
    """A test of one life: each state begins from a sound one, and is mended before the next."""
    fired: dict[str, set[str]] = {}
    client = installation.client

    def sound() -> Scrape:
        for _ in range(5):
            assert client.post("/graphql", json=QUERY).status_code == 200
        before = installation.scrape()
        client.post("/graphql", json=QUERY)
        assert installation.fired(before) == set()
        return installation.scrape()

    before = sound()
    run = start_run(installation.settings, small_catalog, everything=True, enqueue=False).run
    assert run is not None
    installation.scrape()
    fired["a run without workers"] = installation.fired(installation.scrape())
    installation.execute(f"UPDATE run_block SET state = 'failed' WHERE run_id = {run.id}")
    cancel_run(installation.settings, run.id)
    fired["blocks that failed"] = installation.fired(before)
    installation.execute(f"UPDATE run SET blocks_failed = 0 WHERE id = {run.id}")

    before = sound()
    installation.execute("UPDATE generation SET layout = 1")
    fired["fits of another release"] = installation.fired(before)
    installation.execute(f"UPDATE generation SET layout = {LAYOUT}")

    before = sound()
    ask_slowly(installation, seconds=1.5)
    fired["answers that take long"] = installation.fired(before)

    before = sound()
    installation.execute("ALTER TABLE run RENAME TO away")
    installation.execute("ALTER TABLE generation RENAME TO gone")
    for _ in range(2):
        # A status that was never answered before counts from its second time.
        assert client.get("/readyz").status_code == 503
        client.post("/graphql", json={"query": "{ runs(first: 1) { nodes { id } } }"})
        before = installation.scrape()
    client.get("/readyz")
    client.post("/graphql", json={"query": "{ runs(first: 2) { nodes { id } } }"})
    fired["a database that fails"] = installation.fired(before)
    installation.execute("ALTER TABLE away RENAME TO run")
    installation.execute("ALTER TABLE gone RENAME TO generation")

    before = sound()
    installation.broker.stop()
    fired["a broker that is down"] = installation.fired(before)
    installation.broker.start()
    before = sound()
    os.kill(installation.server.pid, signal.SIGTERM)
    time.sleep(3)
    fired["a server that is down"] = installation.fired(before)
    assert fired == {
        "a run without workers": {"FitgraphRunStalled"},
        "blocks that failed": {"FitgraphBlocksFailed"},
        "fits of another release": {"FitgraphNothingPublished"},
        "answers that take long": {"FitgraphSlow"},
        "a database that fails": {"FitgraphDatabaseDown", "FitgraphErrors", "FitgraphServerErrors"},
        "a broker that is down": {"FitgraphBrokerDown"},
        "a server that is down": {"FitgraphDown"},
    }
    assert set.union(*fired.values()) == set(RULES)


def ask_slowly(installation: Installation, seconds: float) -> None:
    """One request that takes its time: the second half of its body comes late."""
    body = orjson.dumps(QUERY)

    def halves() -> Iterator[bytes]:
        yield body[:5]
        time.sleep(seconds)
        yield body[5:]

    headers = {"content-type": "application/json", "content-length": str(len(body))}
    assert installation.client.post("/graphql", content=halves(), headers=headers).status_code == 200
