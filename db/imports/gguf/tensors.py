"""The tensors of a GGUF file by place: those of the whole model by name, those of a layer by their part of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from db.imports.gguf.header import GgufHeader, TensorInfo

#: Shapes by name, row length first (ggml's order).
Shapes = dict[str, tuple[int, ...]]
EXPERT_PART = re.compile(r"ffn_(up|gate|down|gate_up)_(ch)?exps\.weight")
_BLOCK = re.compile(r"blk\.(\d{1,4})\.(.+)")
#: Types of tables of numbers, which are no weights (``I8`` to ``I64``).
_INTEGERS = frozenset({"type-24", "type-25", "type-26", "type-27"})


@dataclass(frozen=True, slots=True)
class Tensors:
    """Shapes of the model's tensors; ``parameters`` are those of the layers that the engine runs, ``beyond`` those of
    the prediction heads behind them."""

    model: Shapes
    layers: tuple[Shapes, ...]
    parameters: int
    beyond: int

    def any_layer(self, *parts: str) -> bool:
        """Whether a layer has one of ``parts``."""
        return any(part in shapes for shapes in self.layers for part in parts)

    def first(self, part: str) -> tuple[int, ...] | None:
        """Shape of ``part`` in the first layer that has it."""
        return next((shapes[part] for shapes in self.layers if part in shapes), None)


def placed(header: GgufHeader) -> Iterator[tuple[TensorInfo, int | None, str]]:
    """Each tensor with the number of its layer (None: of the whole model) and its name in there."""
    for tensor in header.tensors:
        block = _BLOCK.fullmatch(tensor.name)
        yield tensor, (int(block.group(1)) if block else None), (block.group(2) if block else tensor.name)


def tensors_of(header: GgufHeader, layers: int) -> Tensors:
    """The tensors of ``header`` when the model has ``layers`` layers."""
    model: Shapes = {}
    blocks: tuple[Shapes, ...] = tuple({} for _ in range(layers))
    types = {tensor.name: tensor.type_name for tensor in header.tensors}
    parameters = beyond = 0
    for tensor, layer, part in placed(header):
        is_weight = _is_weight(tensor, part, types)
        if layer is not None and layer >= layers:
            beyond += tensor.elements if is_weight else 0
            continue
        parameters += tensor.elements if is_weight else 0
        (model if layer is None else blocks[layer])[part] = tensor.dimensions
    return Tensors(model, blocks, parameters, beyond)


def _is_weight(tensor: TensorInfo, part: str, types: dict[str, str]) -> bool:
    """False for tables of positions and of tokens, and for the scales of a quantization."""
    if part.startswith("rope_") or tensor.type_name in _INTEGERS:
        return False
    if part.endswith((".scale", ".input_scale")):
        scaled = types.get(tensor.name.rsplit(".", 1)[0] + ".weight")
        return tensor.elements > 1 and scaled != "NVFP4"
    return True
