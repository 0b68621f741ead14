"""The documented queries: every one is answered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationDefinitionNode, OperationType, parse, print_ast, validate

import api
from api.graphql.schema import schema
from api.pages.explorer import EXAMPLE_QUERY

PAGE = Path(api.__file__).parent.parent / "docs" / "how-to" / "queries.md"
DOCUMENTS = re.findall(r"```graphql\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_documented_query_fits_the_schema(text: str) -> None:
    document = parse(text)
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    others = [print_ast(each) for each in document.definitions if each not in operations]
    for operation in operations:
        assert validate(schema.core, parse("\n".join([print_ast(operation), *others]))) == []


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("text", DOCUMENTS)
async def test_a_documented_query_is_answered(data: Any, text: str) -> None:
    (first, *_) = [each for each in parse(text).definitions if isinstance(each, OperationDefinitionNode)]
    if first.operation is OperationType.QUERY:
        found = await data(text)
        assert None not in found.values()


@pytest.mark.asyncio(loop_scope="session")
async def test_the_explorer_opens_on_a_working_query(data: Any) -> None:
    assert None not in (await data(EXAMPLE_QUERY, model="llama-2-7b", gpu="rtx-4090")).values()
