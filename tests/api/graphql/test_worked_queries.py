"""The documented queries: every one is answered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import NonNullTypeNode, OperationDefinitionNode, OperationType, parse, print_ast, print_schema, validate

import api
from api.graphql.schema import schema
from api.pages.explorer import EXAMPLE_QUERY

ROOT = Path(api.__file__).parent.parent
DOCS = ROOT / "docs"
#: Blocks of the documents, and the query of the first page, which a shell sends as it stands.
DOCUMENTS = [
    *(
        text
        for page in sorted(DOCS.rglob("*.md"))
        for text in re.findall(r"```graphql\n(.*?)```", page.read_text(), re.DOTALL)
    ),
    *re.findall(r"--data-urlencode 'query=(.*?)'", (ROOT / "README.md").read_text(), re.DOTALL),
]


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_documented_query_fits_the_schema(text: str) -> None:
    document = parse(text)
    operations = [definition for definition in document.definitions if isinstance(definition, OperationDefinitionNode)]
    others = [print_ast(definition) for definition in document.definitions if definition not in operations]
    for operation in operations:
        assert validate(schema.core, parse("\n".join([print_ast(operation), *others]))) == []


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("text", DOCUMENTS)
async def test_a_documented_query_is_answered(data: Any, text: str) -> None:
    (first, *_) = [
        definition for definition in parse(text).definitions if isinstance(definition, OperationDefinitionNode)
    ]
    if first.operation is OperationType.QUERY and not any(
        isinstance(variable.type, NonNullTypeNode) for variable in first.variable_definitions or ()
    ):
        reply = await data(text)
        assert None not in reply.values()


def test_the_reference_names_what_the_schema_has() -> None:
    text = (DOCS / "reference" / "graphql.md").read_text().split("## Names before 1.0")[0]
    words = {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\b[a-z]+[A-Z]\w*", code)}
    known = set(re.findall(r"\w+", print_schema(schema.core)))
    assert len(words) > 15
    assert words - known == set()


@pytest.mark.asyncio(loop_scope="session")
async def test_the_explorer_opens_on_a_working_query(data: Any) -> None:
    assert None not in (await data(EXAMPLE_QUERY, model="llama-2-7b", gpu="rtx-4090")).values()
