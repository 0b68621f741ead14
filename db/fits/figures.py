"""What a choice looks at in all fits of one accelerator or model: a few columns as arrays, without the companions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.fits.generations import Generation
from db.fits.layout import FLAG_BITS, STATUS_MASK, checked, visible
from db.fits.query import FitOwner
from db.reading import Reader, rows_at


@dataclass(frozen=True, slots=True)
class Figures:
    """Fits that run, of one owner and workload, arrays (N,). ``other_id`` is the model of an accelerator's fit, and the
    accelerator of a model's. A ``ttft_ms`` of 0 is unknown."""

    other_id: NDArray[np.int64]
    quant_id: NDArray[np.int64]
    status: NDArray[np.uint8]
    decode_tok_s: NDArray[np.float64]
    ttft_ms: NDArray[np.float64]
    safe_context_tokens: NDArray[np.int64]


async def fetch_figures(reader: Reader, generation: Generation, owner: FitOwner, number: int, slot: int) -> Figures:
    """Figures of the fits of one model or accelerator for one workload."""
    other = FitOwner.MODEL if owner is FitOwner.GPU else FitOwner.GPU
    statement = (
        f"SELECT f.{other.value}, f.quant_id, f.flags, f.decode_{slot}, f.ttft_{slot}, f.safe_{slot} "
        f"FROM {checked(generation.table)} f WHERE f.{owner.value} = :owner AND f.decode_{slot} > 0 AND {visible()}"
    )
    rows = await rows_at(reader, generation.id, statement, {"owner": number})
    columns = np.array([tuple(row) for row in rows], dtype=np.int64).reshape(-1, 6).T
    decode, ttft = (np.ascontiguousarray(columns[place].astype(np.int32)).view(np.float32) for place in (3, 4))
    return Figures(
        other_id=columns[0],
        quant_id=columns[1],
        status=(columns[2] >> FLAG_BITS * slot & STATUS_MASK).astype(np.uint8),
        decode_tok_s=decode.astype(np.float64),
        ttft_ms=ttft.astype(np.float64),
        safe_context_tokens=columns[5],
    )
