"""Reads of fits for one operation: each kind of read is one statement a level, however many fits a query nests.

Keys that are asked for in the same turn of the event loop go into one call.
"""

from __future__ import annotations

from functools import cached_property

from strawberry.dataloader import DataLoader

from api.catalog.fit_reads import CellsKey, CountKey, FitReads, PairKey, Size, TopKey
from db.fits.cells import AnyCell
from db.fits.query import FitPage


class Loaders(FitReads):
    """The reads of one operation."""

    @cached_property
    def _pairs(self) -> DataLoader[tuple[PairKey, ...], list[list[AnyCell]]]:
        # A key is all pairings of one field: a future for each of them would cost as much as its read.
        return DataLoader(load_fn=self._batched.pairs)

    @cached_property
    def _cells(self) -> DataLoader[CellsKey, list[AnyCell]]:
        return DataLoader(load_fn=self._batched.cells)

    @cached_property
    def _sizes(self) -> DataLoader[int, list[Size]]:
        return DataLoader(load_fn=self._batched.sizes)

    @cached_property
    def _tops(self) -> DataLoader[TopKey, FitPage]:
        # The loader raises an exception of a result for its key alone.
        return DataLoader(load_fn=self._batched.tops)

    @cached_property
    def _counts(self) -> DataLoader[CountKey, int]:
        return DataLoader(load_fn=self._batched.counts)

    async def _load_pairs(self, keys: tuple[PairKey, ...]) -> list[list[AnyCell]]:
        return await self._pairs.load(keys)

    async def _load_cells(self, keys: list[CellsKey]) -> list[list[AnyCell]]:
        return await self._cells.load_many(keys)

    async def sizes_of(self, model: str) -> list[Size]:
        """Sizes of a model, by its slug, in every quantization, fewest bits first."""
        return await self._sizes.load(self.view.model_ids[model])

    async def top_fits(self, key: TopKey) -> FitPage:
        """First or last page of the fits of an owner."""
        return await self._tops.load(key)

    async def count(self, key: CountKey) -> int:
        """How many fits an owner has."""
        return await self._counts.load(key)
