"""Workloads: stated lengths and thresholds."""

from __future__ import annotations

import strawberry

from api.catalog.records import WorkloadRecord
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from estimator.types import WorkloadKind


@strawberry.type(description="A use with stated lengths and thresholds, which every pairing is computed for.")
class Workload(Node):
    slug: str = strawberry.field(description="Name in URLs, such as `agentic-coding`.")
    name: str = strawberry.field(description="Display name.")
    kind: WorkloadKind = strawberry.field(description="Name in arguments and filters.")
    prompt_tokens: int = strawberry.field(description="Tokens that are read before the first answer token.")
    output_tokens: int = strawberry.field(description="Tokens of the answer.")
    answer_tokens: int = strawberry.field(description="Tokens of the answer that the user reads.")
    thinking_tokens: int = strawberry.field(description="Tokens that a thinking model writes before its answer.")
    context_tokens: int = strawberry.field(description="Tokens that the KV cache is allocated for.")
    decode_depth_tokens: int = strawberry.field(description="Tokens in context where the decode speed is stated.")
    comfortable_tokens_per_second: float = strawberry.field(
        description="Decode speed that is pleasant for this use, tokens per second."
    )
    minimum_tokens_per_second: float = strawberry.field(
        description="Decode speed below which this use is a trial, tokens per second."
    )
    patience_ms: float = strawberry.field(description="Longest pleasant wait for the first token, milliseconds.")
    usable_ttft_ms: float = strawberry.field(
        description="Wait for the first token above which this use is given up, milliseconds."
    )
    usable_answer_seconds: float = strawberry.field(
        description="Wait for the whole answer above which this use is given up, seconds."
    )
    think_seconds: float = strawberry.field(
        description="Time between an answer and the next request of the same person, seconds."
    )
    sources: list[str] = strawberry.field(description="Where the lengths come from.")


def workload_of(record: WorkloadRecord) -> Workload:
    """The GraphQL object of a workload."""
    spec = record.spec
    return Workload(
        id=strawberry.ID(encode_id("Workload", spec.slug)),
        slug=spec.slug,
        name=spec.name,
        kind=spec.kind,
        prompt_tokens=spec.prompt_tokens,
        output_tokens=spec.output_tokens,
        answer_tokens=spec.answer_tokens,
        thinking_tokens=spec.thinking_tokens,
        context_tokens=spec.context_tokens,
        decode_depth_tokens=spec.decode_depth_tokens,
        comfortable_tokens_per_second=spec.comfortable_decode_tok_s,
        minimum_tokens_per_second=spec.minimum_decode_tok_s,
        patience_ms=spec.patience_ttft_ms,
        usable_ttft_ms=spec.usable_ttft_ms,
        usable_answer_seconds=spec.usable_answer_s,
        think_seconds=spec.think_s,
        sources=record.sources,
    )
