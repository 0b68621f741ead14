"""How alike two models are: one structure, whatever they are called, or layers of the same kinds."""

from __future__ import annotations

from dataclasses import replace

from estimator.structure.architecture import ModelArchitecture

#: Facts of the structure beside the layers, the vocabulary and the count of parameters.
_STRUCTURE = (
    "hidden", "tied_embeddings", "latent", "linear", "state_space", "short_conv_kernel", "experts", "gated_mlp",
    "mlp_bias", "qkv_bias", "output_bias", "qk_norm", "output_gate", "sinks", "indexer_heads", "indexer_dim",
    "indexer_topk", "residual_streams",
)  # fmt: skip
#: Kinds of layers that engines run with kernels of their own, which other layers tell nothing of; as texts say it.
SPECIAL_LAYERS = {"linear": "linear attention", "state_space": "state-space layers", "sparse": "sparse attention"}


def special_layers(model: ModelArchitecture) -> tuple[str, ...]:
    """Those of :data:`SPECIAL_LAYERS` that a model has."""
    has = (model.linear is not None, model.state_space is not None, bool(model.indexer_topk))
    return tuple(kind for kind, applies in zip(SPECIAL_LAYERS, has, strict=True) if applies)


def same_structure(known: ModelArchitecture, other: ModelArchitecture, *, count_tolerance: float = 0.0) -> bool:
    """Whether two models differ in nothing that the estimator reads, but for norms.

    ``count_tolerance`` is the largest relative difference of the counts of parameters; above 0 the vocabulary may differ
    within it, as it does where a fine-tune adds some tokens.
    """
    difference = abs(known.total_parameters - other.total_parameters)
    return (
        difference <= count_tolerance * known.total_parameters
        and (count_tolerance > 0 or known.vocab == other.vocab)
        and all(getattr(known, name) == getattr(other, name) for name in _STRUCTURE)
        and [replace(layer, norms=0) for layer in known.layers] == [replace(layer, norms=0) for layer in other.layers]
        and known.compress_ratios[: known.n_layers] == other.compress_ratios[: other.n_layers]
    )
