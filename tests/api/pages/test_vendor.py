"""Files that the explorer is made of."""

from __future__ import annotations

from graphql import parse, validate

from api.graphql.schema import schema
from api.pages.explorer import EXAMPLE_QUERY, STATIC


def test_vendored_files_are_small_and_licensed() -> None:
    vendor = STATIC / "vendor"
    names = {path.name for path in vendor.iterdir()}
    assert {"LICENSE.graphiql", "LICENSE.react", "README.md"} <= names
    for path in vendor.iterdir():
        assert path.stat().st_size < 2_000_000
        if path.suffix in (".js", ".css"):
            assert path.name in (vendor / "README.md").read_text()
            assert "sourceMappingURL" not in path.read_text()
    assert "@font-face" not in (vendor / "graphiql.min.css").read_text()


def test_the_example_query_is_valid() -> None:
    assert validate(schema._schema, parse(EXAMPLE_QUERY)) == []
