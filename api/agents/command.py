"""`fitgraph mcp`: the server for agents."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

EPILOG = "Examples: `fitgraph mcp`, `fitgraph mcp --http --port 8765`"


def mcp(
    http: Annotated[bool, typer.Option("--http", help="Serve over streamable HTTP, not standard input.")] = False,
    host: Annotated[str, typer.Option(help="With --http: address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="With --http: port to listen on.", min=1, max=65_535)] = 8765,
) -> None:
    """Serve five tools for agents by the Model Context Protocol: search, fit, recommend, compare, what_if."""
    if find_spec("mcp") is None:
        typer.echo("fitgraph: the server for agents needs the package mcp: install fitgraph[mcp]", err=True)
        raise typer.Exit(1)
    from api.agents.server import make_server

    server = make_server()
    if http:
        typer.echo(f"fitgraph: agents connect to http://{host}:{port}/mcp", err=True)
        server.run("streamable-http", host=host, port=port, stateless_http=True, json_response=True)
    else:
        server.run("stdio")
