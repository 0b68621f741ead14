"""Hooks of the documentation site: the reference of the schema, and links that leave the site.

The site is built by ``make docs``; MkDocs calls these functions.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from graphql import GraphQLInputObjectType, GraphQLNamedType, build_schema
from graphql.type import (
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_object_type,
    is_scalar_type,
    is_union_type,
)
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
_KINDS = (
    ("Objects", is_object_type), ("Interfaces", is_interface_type), ("Inputs", is_input_object_type),
    ("Enums", is_enum_type), ("Unions", is_union_type), ("Scalars", is_scalar_type),
)  # fmt: skip
_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:)([^)#\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the page of the schema."""
    text = reference((ROOT / "schema.graphql").read_text())
    files.append(File.generated(config, "reference/schema.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to files of the repository that are not on the site into their text."""

    def kept(match: re.Match[str]) -> str:
        target = (Path(config["docs_dir"]) / page.file.src_uri).parent / match[2]
        inside = target.resolve().is_relative_to(Path(config["docs_dir"]).resolve())
        return match[0] if inside and target.suffix != ".graphql" else match[1]

    return _LINK.sub(kept, markdown)


def reference(sdl: str) -> str:
    """The types of a schema in Markdown, by kind and name."""
    schema = build_schema(sdl)
    lines = ["# The schema", "", "Written from `schema.graphql` when the site is built.", ""]
    named = [each for name, each in sorted(schema.type_map.items()) if not name.startswith("__")]
    for title, belongs in _KINDS:
        lines += [f"## {title}", ""]
        for each in filter(belongs, named):
            lines += _type(each)
    return "\n".join(lines)


def _type(named: GraphQLNamedType) -> list[str]:
    lines = [f"### {named.name}", "", _sentence(named.description), ""]
    if is_enum_type(named):
        lines += ["| value | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {_cell(value.description)} |" for name, value in named.values.items()]
    elif is_union_type(named):
        lines.append(" or ".join(f"`{each.name}`" for each in named.types))
    elif hasattr(named, "fields"):
        lines += ["| field | type | meaning |", "|---|---|---|"]
        for name, field in named.fields.items():
            arguments = "" if isinstance(named, GraphQLInputObjectType) else _arguments(field)
            lines.append(f"| `{name}`{arguments} | `{field.type}` | {_cell(field.description)} |")
    return [*lines, ""]


def _arguments(field: Any) -> str:
    return "".join(f"<br>`{name}: {each.type}` {_cell(each.description)}" for name, each in field.args.items())


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split()).replace("<", "&lt;")


def _cell(text: str | None) -> str:
    return _sentence(text).replace("|", "\\|")
