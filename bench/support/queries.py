"""The queries of the API benches, and the same ones for PostGraphile."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.support.load_clients import Sent

#: Fits on the nested page.
PAGE = 20
#: One model, 20 fits with 12 fields each, with accelerator and quantization.
NESTED = """query Nested($model: String!) {
  model(slug: $model) {
    slug
    name
    fits(first: 20, filter: {workload: {in: [CODING]}}, orderBy: [{field: DECODE, direction: DESC}]) {
      nodes {
        id status score grade recommended ttftMs safeContextTokens contextTokens
        decode { tokensPerSecond low high }
        memory { totalBytes }
        gpu { slug name memoryBytes bandwidthBytesPerSecond }
        quant { slug name nominalBits }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""
#: The same over the unpacked table that PostGraphile is given.
NESTED_POSTGRAPHILE = """query Nested($model: String!) {
  modelBySlug(slug: $model) {
    slug
    name
    fits(first: 20, orderBy: DECODE_TOK_S_DESC) {
      nodes {
        id status score grade recommended ttftMs safeContextTokens contextTokens
        decodeTokS decodeLow decodeHigh totalBytes
        gpu { slug name memoryBytes bandwidth }
        quant { slug name nominalBits }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""
COMPARISON = """query Comparison($model: String!, $gpus: [String!]!) {
  comparison(input: { models: [$model], gpus: $gpus }) {
    winner
    rows { measure values deltas winner }
    columns { prediction { status score quant { slug } gpu { slug } decode { tokensPerSecond }
      ... on Fit { quantOptions { quant { slug } status score decode { tokensPerSecond } memory { totalBytes } } } } }
  }
}"""
_SHOWN = "id status grade decode { tokensPerSecond } memory { totalBytes } model { slug } gpu { slug } quant { slug }"
PAGE_OF_FITS = f"""query Fits($gpu: String!) {{
  fits(first: 20, filter: {{gpu: {{in: [$gpu]}}, workload: {{in: [CODING]}}}}) {{ nodes {{ {_SHOWN} }} }}
}}"""
RECOMMENDATIONS = f"""query Recommendations($for: RecommendationInput!) {{
  recommendations(input: $for, first: 20) {{
    pick {{ rank }}
    nodes {{ rank reason {{ message }} worth {{ value low high }} fit {{ {_SHOWN} }} }}
  }}
}}"""


def posts(query: str, variables: Sequence[object]) -> list[Sent]:
    """One POST to ``/graphql`` for each set of variables."""
    return [Sent("POST", "/graphql", json.dumps({"query": query, "variables": values})) for values in variables]
