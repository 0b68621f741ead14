"""Options of a server of checkpoints, and how llama.cpp shares a model over devices."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SplitMode(StrEnum):
    """llama.cpp's ways to share a model over several devices (``-sm``): whole layers, rows of dense matrices, or a part of
    every matrix and of the cache. It takes whole layers by itself."""

    LAYER = "layer"
    ROW = "row"
    TENSOR = "tensor"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server of checkpoints (vLLM, SGLang) is started; None leaves an option at its default.

    ``memory_fraction`` of each device's memory is the server's (``--gpu-memory-utilization``), a step takes at most
    ``batched_tokens`` and ``sequences``. ``data_parallel`` replicas have a cache each, and copies of all weights but the
    experts where ``expert_parallel`` spreads those over all devices; the devices of a replica split it into
    ``pipeline_parallel`` stages of layers, and each stage evenly.
    """

    memory_fraction: float | None = None
    batched_tokens: int | None = None
    sequences: int | None = None
    data_parallel: int = 1
    pipeline_parallel: int = 1
    expert_parallel: bool = False

    def tensor_parallel(self, devices: int) -> int:
        """Devices that share each layer."""
        return devices // (self.data_parallel * self.pipeline_parallel)


DEFAULT_SERVER = ServerOptions()
