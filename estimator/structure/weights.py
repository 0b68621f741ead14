"""Bytes of a model's weights in every quantization: file, device, system memory, and what one token reads.

Arrays have the shape (quants,) or (quants, layers). Sums are exact: whole blocks per tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from estimator.structure.architecture import FeedForward, ModelArchitecture
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.structure.block_types import BLOCKS, TYPES, tensor_bytes
from estimator.structure.files import StoredQuant
from estimator.structure.ik_recipes import IK_TYPES, ik_types
from estimator.structure.quantization import TensorIndex, index_tensors, tensor_types
from estimator.structure.tensors import EXPERT_CLASSES, TensorClass, inventory
from estimator.types import GGUF_FORMATS, EstimatorError, PartBits, Quant, QuantFormat

#: Tokenizer and metadata of a GGUF file, bytes per vocabulary entry: 2 MB at 32k entries, 6 to 16 MB at 128k to 262k.
METADATA_BYTES_PER_TOKEN = 45
#: Range of a checkpoint's stated bytes over its format's; others are those of something else: group sizes,
#: parts left in 16 bits and vision towers move them, another format or model moves them further.
STORED_SHARE = (0.6, 1.8)
#: Architectures whose experts were trained in a block type and keep it in every GGUF file, whatever the file's name says:
#: their rows of 2,880 fit no K-quant. Cards of bartowski/openai_gpt-oss-20b-GGUF ("all quants keep the feed forward
#: networks at mxfp4") and sizes of unsloth/gpt-oss-120b-GGUF (58.3 GiB as Q2_K, 60.9 GiB as F16).
NATIVE_EXPERT_TYPES = {"GptOssForCausalLM": "MXFP4"}
#: The file type whose kernels read experts of a block type, under whatever name the file goes.
_FILE_TYPE_OF_EXPERTS = {"MXFP4": "MXFP4_MOE"}
#: Classes that pre-quantized checkpoints leave in 16 bits: embeddings, output head, norms, routers.
_LEFT_IN_16_BITS = (
    TensorClass.KEPT,
    TensorClass.HALF,
    TensorClass.EMBEDDING,
    TensorClass.OUTPUT,
    TensorClass.LOOKUP,
)
#: Parts of a model that a checkpoint may store in bits of their own, by the classes of their tensors.
_PARTS = {
    "embedding": (TensorClass.EMBEDDING,),
    "output": (TensorClass.OUTPUT,),
    "attention": (
        TensorClass.ATTN_Q, TensorClass.ATTN_K, TensorClass.ATTN_V, TensorClass.ATTN_OUTPUT, TensorClass.PER_HEAD,
        TensorClass.OTHER,
    ),
    "dense": (TensorClass.FFN_UP, TensorClass.FFN_GATE, TensorClass.FFN_DOWN),
    "experts": EXPERT_CLASSES,
}  # fmt: skip

#: Parts that have factors: embedding and output or the table that is both, tables of single layers, parts of dense models,
#: and those of models with experts, for which the publisher chose other types when they were released late; tensors of layers
#: and tables whose rows no block of 256 fits, which have one type in place of many.
PARTS: tuple[str, ...] = (
    "embedding", "output", "tied", "lookup", "attention", "down", "up", "beside_experts", "expert_down", "expert_up",
    "late_beside_experts", "late_expert_down", "late_expert_up", "odd_layers", "odd_tables",
)  # fmt: skip
#: Year from which on Unsloth's files of models with experts have other types, and come in more kinds (published sizes).
LATE_RELEASES = 2026.0 + 1 / 12
_DOWN = (TensorClass.FFN_DOWN,)
_UP = (TensorClass.FFN_UP, TensorClass.FFN_GATE)
_TABLES = [TensorClass.EMBEDDING, TensorClass.OUTPUT]
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class WeightTable:
    """Weight bytes of one model for a list of quants.

    ``layers`` is what stays with a layer when its experts move (attention, dense and shared feed-forward, router,
    norms); ``experts`` are the routed experts of each layer. ``output`` includes the final norm and global projections.
    ``embedding`` is the input table: system memory in llama.cpp, and with tied embeddings also a device copy as output.
    ``largest_tensor`` is the largest one of any layer. ``stored`` is in the file and never loaded. ``parameters`` counts
    the loaded text model without ``lookup``.
    """

    file: Ints
    layers: Ints
    experts: Ints
    embedding: Ints
    output: Ints
    lookup: Ints
    stored: Ints
    parameters: int
    expert_share: float
    largest_tensor: Ints
    is_tied: bool

    @property
    def bits_per_weight(self) -> Floats:
        """Average bits per weight that a token is multiplied with, and of the embedding, shape (quants,).

        A tied table is loaded twice, to look up and to multiply with, but is one. Tables of which a token reads a row are
        left out: their types say nothing of the quantization that does the work.
        """
        once = self.layers.sum(1) + self.experts.sum(1) + self.output
        table = 0 if self.is_tied else self.embedding
        return np.asarray((once + table) * 8.0 / self.parameters)


def weight_table(model: ModelArchitecture, quants: Sequence[Quant]) -> WeightTable:
    """Weight bytes of ``model`` in every one of ``quants``.

    Raises:
        EstimatorError: a quant names a file type that does not exist or states no bits.
    """
    tensors = inventory(model)
    index = index_tensors(model, tensors)
    sizes = np.empty((len(quants), len(tensors.cls)), dtype=np.int64)
    metadata = np.zeros(len(quants), dtype=np.int64)
    types, recipes = [], []
    for row, quant in enumerate(quants):
        is_gguf = quant.format in GGUF_FORMATS
        if is_gguf:
            metadata[row] = METADATA_BYTES_PER_TOKEN * model.vocab
        if quant.part_bits is not None:
            sizes[row] = part_bytes(model, index, quant.part_bits, native_experts=is_gguf)
        elif not is_gguf:
            sizes[row] = checkpoint_bytes(index, quant)
        elif quant.mixed_recipe is not None:
            recipes.append(row)
            types.append(file_types(model, index, quant.mixed_recipe, imatrix=quant.imatrix))
        elif quant.file_type is None:
            raise EstimatorError(f"{quant.slug}: a GGUF quant needs a file_type")
        else:
            recipes.append(row)
            types.append(file_types(model, index, quant.file_type, imatrix=quant.imatrix))
    if recipes:
        sizes[recipes] = tensor_bytes(tensors, np.stack(types))
    for row, quant in enumerate(quants):
        if quant.part_factors:
            part = part_of_tensors(model, index, native_experts=model.architecture in NATIVE_EXPERT_TYPES)
            sizes[row] = mixed_bytes(sizes[row], part, quant.part_factors)
    table = _sum_up(model, index, sizes, metadata)
    published = {file.quant: file for file in model.published_files}
    for row, quant in enumerate(quants):
        if isinstance(quant, StoredQuant):
            _as_stored(model, table, row, quant)
        elif (file := published.get(quant.slug)) is not None:
            _rescale(table, row, file.bytes_of(int(table.file[row])))
    return table


def _as_stored(model: ModelArchitecture, table: WeightTable, row: int, quant: StoredQuant) -> None:
    """Replace a row of computed bytes by those of the file that the quant stands for."""
    own = quant.by_layer
    if own is not None:
        if len(own.layers) != model.n_layers:
            raise EstimatorError(f"the file has {len(own.layers)} layers, the model {model.n_layers}")
        table.file[row], table.embedding[row], table.lookup[row] = own.file, own.embedding, own.lookup
        table.layers[row], table.experts[row] = own.layers, own.experts
        table.output[row] = own.output + (own.embedding if model.tied_embeddings else 0)
        table.stored[row], table.largest_tensor[row] = own.stored, own.largest_tensor
    if quant.total_bytes is not None:
        inside = int(table.layers[row].sum() + table.experts[row].sum())
        share = (quant.total_bytes - (int(table.file[row]) - inside)) / max(inside, 1)
        low, high = STORED_SHARE
        if not low <= share <= high:
            raise EstimatorError(
                f"the checkpoint has {quant.total_bytes:,} bytes, where this model in {quant.name} has about "
                f"{int(table.file[row]):,}: they do not belong together"
            )
        _rescale(table, row, quant.total_bytes)


def _rescale(table: WeightTable, row: int, total_bytes: int) -> None:
    """Let a file have ``total_bytes``; its layers make the difference."""
    inside = int(table.layers[row].sum() + table.experts[row].sum())
    share = (total_bytes - (int(table.file[row]) - inside)) / max(inside, 1)
    for part in (table.layers, table.experts):
        part[row] = np.rint(part[row] * share).astype(np.int64)
    table.largest_tensor[row] = int(np.ceil(table.largest_tensor[row] * share))
    table.file[row] = total_bytes


def kernel_quant(architecture: str, quant: Quant) -> Quant:
    """The quantization whose kernels read a file: that of the experts, where the model keeps theirs in every file."""
    native = NATIVE_EXPERT_TYPES.get(architecture)
    if native is None or quant.format not in GGUF_FORMATS:
        return quant
    return replace(quant, file_type=_FILE_TYPE_OF_EXPERTS[native])


def file_types(model: ModelArchitecture, index: TensorIndex, file_type: str, *, imatrix: bool) -> Ints:
    """Type codes of a published file's tensors: the recipe's, but experts that were trained in a block type keep it."""
    of_fork = file_type in IK_TYPES
    types = ik_types(index, file_type) if of_fork else tensor_types(index, file_type, imatrix=imatrix)
    if native := NATIVE_EXPERT_TYPES.get(model.architecture):
        types[index.is_class[list(EXPERT_CLASSES)].any(axis=0)] = TYPES.index(native)
    return types


def part_bytes(model: ModelArchitecture, index: TensorIndex, bits: PartBits, *, native_experts: bool) -> Ints:
    """Bytes per tensor of a file whose parts have bits of their own; what no format quantizes keeps its type."""
    is_class, elements = index.is_class, index.inventory.elements
    native = NATIVE_EXPERT_TYPES.get(model.architecture) if native_experts else None
    block, block_bytes = BLOCKS[native] if native else (1, bits.experts / 8.0)
    of_tensor = np.full(len(elements), bits.beside_experts if index.is_moe else bits.dense)
    of_tensor[is_class[list(EXPERT_CLASSES)].any(axis=0)] = block_bytes * 8.0 / block
    of_tensor[is_class[[TensorClass.EMBEDDING, TensorClass.LOOKUP]].any(axis=0)] = bits.embedding
    of_tensor[is_class[TensorClass.OUTPUT]] = bits.output
    of_tensor[is_class[TensorClass.KEPT]] = 32.0
    of_tensor[is_class[TensorClass.HALF]] = 16.0
    return np.ceil(elements * (of_tensor / 8.0)).astype(np.int64)


def part_of_tensors(model: ModelArchitecture, index: TensorIndex, *, native_experts: bool) -> Ints:
    """Number of the part (into ``PARTS``) of each tensor, shape (tensors,); -1 for what keeps its bytes: norms, routers, and
    experts that were trained in a block type."""
    is_late = not model.training.is_dated or model.training.released >= LATE_RELEASES
    prefix = "late_" if is_late else ""
    rest, down, up = ("attention", "down", "up") if not index.is_moe else (f"{prefix}beside_experts",) * 3
    expert_down, *expert_up = EXPERT_CLASSES
    number = np.full(len(index.inventory.cls), PARTS.index(rest), dtype=np.int64)
    for classes, part in (
        (_DOWN, down),
        (_UP, up),
        ((expert_down,), f"{prefix}expert_down"),
        (expert_up, f"{prefix}expert_up"),
    ):
        number[index.is_class[list(classes)].any(axis=0)] = PARTS.index(part)
    is_odd, is_table = index.inventory.row % _BLOCK != 0, index.is_class[_TABLES].any(axis=0)
    number[is_odd] = PARTS.index("odd_layers")
    number[index.is_class[TensorClass.OUTPUT]] = PARTS.index("output")
    number[index.is_class[TensorClass.EMBEDDING]] = PARTS.index("tied" if model.tied_embeddings else "embedding")
    number[is_odd & is_table] = PARTS.index("odd_tables")
    number[index.is_class[TensorClass.LOOKUP]] = PARTS.index("lookup")
    kept = [TensorClass.KEPT, TensorClass.HALF, *(EXPERT_CLASSES if native_experts else ())]
    number[index.is_class[kept].any(axis=0)] = -1
    return number


def mixed_bytes(recipe_bytes: Ints, part: Ints, factors: tuple[float, ...]) -> Ints:
    """Bytes of each tensor, from those of the recipe and the numbers of the parts."""
    by_part = np.array([*factors, 1.0])
    return np.asarray(np.rint(recipe_bytes * by_part[part]), dtype=np.int64)


def checkpoint_bytes(index: TensorIndex, quant: Quant) -> Ints:
    """Bytes per tensor of a pre-quantized or plain checkpoint: weights, group scales and zero points."""
    if quant.weight_bits is None:
        raise EstimatorError(f"{quant.slug}: a checkpoint format needs weight_bits")
    bits, is_class = quant.weight_bits, index.is_class
    if quant.group_size:
        bits += ((quant.scale_bits or 0.0) + (quant.zero_bits or 0.0)) / quant.group_size
    if quant.format is QuantFormat.MLX:
        left = is_class[[TensorClass.KEPT, TensorClass.HALF]].any(axis=0)
    elif quant.format is QuantFormat.MXFP4:
        left = ~is_class[list(EXPERT_CLASSES)].any(axis=0)
    else:
        left = is_class[list(_LEFT_IN_16_BITS)].any(axis=0)
    of_tensor = np.where(left, 16.0, bits)
    if isinstance(quant, StoredQuant):
        for part, width in quant.widths:
            of_tensor[is_class[list(_PARTS[part])].any(axis=0)] = width
    return np.ceil(index.inventory.elements * (of_tensor / 8.0)).astype(np.int64)


def _sum_up(model: ModelArchitecture, index: TensorIndex, sizes: Ints, metadata: Ints) -> WeightTable:
    n, tensors, is_class = model.n_layers, index.inventory, index.is_class
    layer = tensors.layer
    routed = is_class[list(EXPERT_CLASSES)].any(axis=0)
    in_layer = (layer >= 0) & (layer < n)

    def by_layer(mask: Flags) -> Ints:
        table = np.zeros((sizes.shape[0], n), dtype=np.int64)
        # Tensors come in the order of their layers, so each layer is one run.
        at = np.flatnonzero(mask)
        if len(at):
            starts = np.flatnonzero(np.diff(layer[at], prepend=-1))
            table[:, layer[at[starts]]] = np.add.reduceat(sizes[:, at], starts, axis=1)
        return table

    tables = is_class[TensorClass.EMBEDDING] | is_class[TensorClass.LOOKUP]
    embedding = sizes[:, is_class[TensorClass.EMBEDDING]].sum(1)
    lookup = sizes[:, is_class[TensorClass.LOOKUP]].sum(1)
    output = sizes[:, (layer < 0) & ~tables].sum(1) + (embedding if model.tied_embeddings else 0)
    stored = sizes[:, layer >= n].sum(1)
    experts = model.experts
    return WeightTable(
        file=sizes.sum(1) + metadata,
        layers=by_layer(in_layer & ~routed),
        experts=by_layer(in_layer & routed),
        embedding=embedding,
        output=output,
        lookup=lookup,
        stored=stored,
        parameters=int(tensors.elements[(layer < n) & ~is_class[TensorClass.LOOKUP]].sum()),
        expert_share=experts.per_token / experts.count if experts else 1.0,
        largest_tensor=sizes[:, in_layer].max(1),
        is_tied=model.tied_embeddings,
    )


def expert_layers(model: ModelArchitecture) -> int:
    return sum(layer.feed_forward is FeedForward.EXPERTS for layer in model.layers)
