"""Split GGUF files: all parts together are the file, and a part that is missing is named."""

from __future__ import annotations

import pytest

from db.imports.errors import ImportFactsError
from db.imports.gguf.facts import facts_from_gguf
from db.imports.gguf.split import names_of_parts
from tests.support.gguf_files.files import llama, llama_parts


def test_all_parts_are_the_file_in_any_order() -> None:
    parts = llama_parts(4, 3)
    single, split = facts_from_gguf(llama(4)), facts_from_gguf(*parts[::-1])
    assert split.facts == single.facts
    assert split.stored.layers == single.stored.layers
    assert split.tensor_bytes == single.tensor_bytes
    assert split.stored.file == single.tensor_bytes + sum(len(part) for part in parts)


def test_missing_parts_are_named_with_what_is_there() -> None:
    parts = llama_parts(4, 3)
    with pytest.raises(
        ImportFactsError, match=r"has 3 parts, and parts 2, 3 are missing: 13 of its 39 tensors are there"
    ):
        facts_from_gguf(parts[0])
    with pytest.raises(ImportFactsError, match=r"part 2 is missing: 26 of its 39 tensors"):
        facts_from_gguf(parts[0], parts[2])


def test_parts_of_two_files_are_refused() -> None:
    parts = llama_parts(4, 3)
    for others in ([parts[0], parts[1], parts[1]], [parts[0], *llama_parts(4, 2)[1:]], [llama(1), llama(1)]):
        with pytest.raises(ImportFactsError, match="not those of the parts of one file"):
            facts_from_gguf(*others)


def test_names_of_parts() -> None:
    assert names_of_parts("a/b-00002-of-00003.gguf") == [f"a/b-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert names_of_parts("https://x/b-00001-of-00001.gguf?download=true") == [
        "https://x/b-00001-of-00001.gguf?download=true"
    ]
    assert names_of_parts("b.gguf") == ["b.gguf"]
    with pytest.raises(ImportFactsError, match="99,999 parts; 1 to 100"):
        names_of_parts("b-00001-of-99999.gguf")
