"""Speculative decoding: a small model drafts some tokens, the large one checks them all in one step.

A step yields the accepted tokens and one of the large model's own: 1 + share * drafted, where the share of drafted
tokens that are accepted is what engines print (llama.cpp: "draft acceptance rate", accepted over generated tokens; vLLM:
"Avg Draft acceptance rate", of which its "Mean acceptance length" is 1 + share * drafted). The time of a step is as in
the proof of theorem 3.8 of Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding", ICML
2023 (arXiv:2211.17192). The paper lets the check of all tokens take as long as one token does; here it takes what the
speed model says of so many tokens at once, which is more for a mixture of experts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from estimator.speed.work import DecodeWork
from estimator.structure.architecture import ModelArchitecture
from estimator.types import EstimatorError, Quant

#: Vocabularies of a draft and its target may differ by this much padding: the limit of llama.cpp and of vLLM (#13849).
MAX_VOCABULARY_DIFFERENCE = 128
MAX_DRAFT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft model: tokens that it drafts in a step, and the share of them that the target accepts (0 to 1).

    ``own_heads``: the model itself drafts, with its heads for multi-token prediction (MTP).
    """

    model: ModelArchitecture
    quant: Quant
    tokens: int
    acceptance_rate: float
    own_heads: bool = False


@dataclass(frozen=True, slots=True)
class DraftLoad:
    """Device bytes of a draft, its growth per token of context, and its pace; None where it runs on no device.

    The model's own heads take ``token_share`` of the time of one of its tokens for one that they draft.
    """

    bytes: int
    bytes_per_token: float
    token_s: float | None
    prefill_s: float
    token_share: float | None = None

    @property
    def runs(self) -> bool:
        return self.token_s is not None or self.token_share is not None

    def seconds(self, plain_token_s: float) -> float:
        """Seconds of one drafted token, where the model takes so many for one of its own."""
        if self.token_share is not None:
            return self.token_share * plain_token_s
        assert self.token_s is not None
        return self.token_s


@dataclass(frozen=True, slots=True)
class Speculation:
    """Effect of a draft: tokens drafted and expected per step; seconds of drafting one, of a check, of one without it.

    ``draft_bytes`` of device memory are weights, cache and buffers of the draft.
    """

    drafted: int
    tokens_per_step: float
    draft_token_s: float
    check_s: float
    plain_token_s: float
    draft_bytes: int

    @property
    def step_s(self) -> float:
        """Seconds of a whole step: the drafted tokens, one after the other, and their check."""
        return self.check_s + self.draft_token_s * self.drafted

    @property
    def token_s(self) -> float:
        """Seconds per token with the draft."""
        return self.step_s / self.tokens_per_step

    @property
    def speedup(self) -> float:
        """Decode speed with the draft over that without one."""
        return self.plain_token_s / self.token_s


def expected_tokens(acceptance_rate: float, drafted: int) -> float:
    """Tokens that one step yields on average, when it drafts so many and this share of them is accepted."""
    return 1.0 + acceptance_rate * drafted


def require_draft(target: ModelArchitecture, draft: Draft, batch: int) -> None:
    """Raise :class:`EstimatorError` when the draft cannot serve the target."""
    if not 1 <= draft.tokens <= MAX_DRAFT_TOKENS:
        raise EstimatorError(f"a step drafts 1 to {MAX_DRAFT_TOKENS} tokens, not {draft.tokens}")
    if not 0.0 <= draft.acceptance_rate <= 1.0:
        raise EstimatorError(f"an acceptance rate is from 0 to 1, not {draft.acceptance_rate:g}")
    if batch != 1:
        raise EstimatorError("a draft is estimated for one sequence at a time; leave 'batch' out")
    if draft.own_heads:
        if not target.mtp_parameters:
            raise EstimatorError(f"{target.slug} has no heads for multi-token prediction (MTP); name a draft model")
        return
    difference = abs(target.vocab - draft.model.vocab)
    if difference > MAX_VOCABULARY_DIFFERENCE:
        raise EstimatorError(
            f"the draft has {draft.model.vocab:,} tokens in its vocabulary and the model {target.vocab:,}: both must share "
            f"one vocabulary, of which at most {MAX_VOCABULARY_DIFFERENCE} entries of padding may differ"
        )


def check_work(work: DecodeWork, tokens: int) -> DecodeWork:
    """The work of checking ``tokens`` tokens of one sequence at once: weights and cache are read once for all of them."""
    return replace(
        work,
        batch=work.batch * float(tokens),
        # Queries of one sequence share a pass over its cache.
        attention_flops=work.attention_flops / float(tokens),
    )
