"""Token mixers beside plain attention: latent and linear attention, and state spaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from estimator.types import MissingFactError


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Multi-head latent attention (MLA): ranks and head dimensions in elements; ``q_rank`` None means no query LoRA."""

    q_rank: int | None
    kv_rank: int
    nope_dim: int
    rope_dim: int
    value_dim: int


@dataclass(frozen=True, slots=True)
class LinearAttention:
    """Linear attention with a constant state: a gated delta net, KDA, lightning attention or RWKV's time mix, which keeps
    ``shifted_tokens`` beside it."""

    kind: str
    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    conv_kernel: int
    full_rank_gate: bool
    full_rank_decay: bool
    shifted_tokens: int


@dataclass(frozen=True, slots=True)
class StateSpace:
    """A Mamba block; ``version`` 1 or 2, dimensions in elements. ``heads`` of version 1: channels share their steps and decays
    by head (PLaMo 2); 0: each channel has its own."""

    version: int
    inner_dim: int
    state_dim: int
    conv_kernel: int
    groups: int
    heads: int
    dt_rank: int
    gated_norm: bool


def latent_attention(attention: Mapping[str, Any]) -> LatentAttention | None:
    """Latent attention from the ``attention`` facts; None for plain attention."""
    if not (mla := attention.get("mla")):
        return None
    return LatentAttention(
        q_rank=mla.get("q_lora_rank"),
        kv_rank=int(mla["kv_lora_rank"]),
        nope_dim=int(mla["qk_nope_head_dim"]),
        rope_dim=int(mla["qk_rope_head_dim"]),
        value_dim=int(mla["v_head_dim"]),
    )


def linear_attention(slug: str, facts: Mapping[str, Any], attention: Mapping[str, Any]) -> LinearAttention | None:
    """Linear attention from the facts of a model. Raises :class:`MissingFactError` where layers have it undescribed."""
    if not (linear := attention.get("linear")):
        if "L" in attention["layer_pattern"]:
            raise MissingFactError(slug, "attention.linear")
        return None
    heads = int(linear.get("n_heads") or linear.get("n_value_heads") or facts.get("n_heads") or 0)
    head_dim = int(linear.get("head_dim") or linear.get("value_head_dim") or facts.get("head_dim_v") or 0)
    return LinearAttention(
        kind=str(linear["kind"]),
        key_heads=int(linear.get("n_key_heads") or heads),
        value_heads=int(linear.get("n_value_heads") or heads),
        key_dim=int(linear.get("key_head_dim") or head_dim),
        value_dim=int(linear.get("value_head_dim") or head_dim),
        conv_kernel=int(linear.get("conv_kernel") or 0),
        full_rank_gate=bool(linear.get("full_rank_gate")),
        full_rank_decay=bool(linear.get("full_rank_decay")),
        shifted_tokens=int(linear.get("shifted_tokens") or 2),
    )


def state_space(ssm: Mapping[str, Any] | None) -> StateSpace | None:
    """Mamba blocks from the ``ssm`` facts; None for a model without."""
    if not ssm:
        return None
    return StateSpace(
        version=2 if str(ssm["kind"]).endswith("2") else 1,
        inner_dim=int(ssm["d_inner"]),
        state_dim=int(ssm["d_state"]),
        conv_kernel=int(ssm["conv_kernel"]),
        groups=int(ssm.get("n_groups") or 0),
        heads=int(ssm.get("n_heads") or 0),
        dt_rank=int(ssm.get("dt_rank") or 0),
        gated_norm=bool(ssm.get("gated_norm", True)),
    )
