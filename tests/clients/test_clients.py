"""Clients that frontend teams use, run against the served API. They need node and npm; README says how."""

from __future__ import annotations

from tests.clients.conftest import Node
from tests.support.servers import ApiServer


def test_every_audit_of_graphql_over_http_passes(served: ApiServer, node: Node) -> None:
    assert "ok 61 audits" in node("node", "audits.mjs", served.url)


def test_apollo_client(served: ApiServer, node: Node) -> None:
    assert node("node", "apollo.mjs", served.url).count("ok ") == 5


def test_urql(served: ApiServer, node: Node) -> None:
    assert node("node", "urql.mjs", served.url).count("ok ") == 3


def test_relay(served: ApiServer, node: Node) -> None:
    node("relay-compiler", "relay.config.json", folder="relay")
    assert node("node", "run.mjs", served.url, folder="relay").count("ok ") == 3


def test_generated_types_are_strict(node: Node) -> None:
    node("graphql-codegen", "--config", "codegen.json", folder="codegen")
    node("tsc", "--project", "tsconfig.json", folder="codegen")
