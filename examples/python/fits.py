"""Page through the fits of a model, best first: a typed client of the fitgraph API in one file.

python fits.py URL MODEL [--workload CODING] [--most 20]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx

FITS = """
query Fits($model: String!, $workload: WorkloadKind!, $first: Int!, $after: String) {
  model(slug: $model) {
    fits(
      filter: { workload: { in: [$workload] }, status: { in: [FITS, FITS_TIGHTLY, FITS_WITH_OFFLOAD] } }
      orderBy: [{ field: SCORE, direction: DESC }]
      first: $first
      after: $after
    ) {
      totalCount
      nodes {
        gpu { name }
        quant { name }
        status
        grade
        decode { tokensPerSecond low high }
        memory { totalBytes usableBytes }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second; ``low`` and ``high`` are the 80 % prediction interval."""

    tokens_per_second: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Fit:
    """One model on one accelerator in one quantization; a figure is None where the API has none."""

    gpu: str
    quant: str
    status: str
    grade: str
    decode: Speed | None
    total_bytes: int | None
    usable_bytes: int | None


class FitgraphError(Exception):
    """An error of the API; ``code`` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Fitgraph:
    """A connection to one server, as a context manager."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        self._http = httpx.Client(
            base_url=url, timeout=timeout_s, headers={"accept": "application/graphql-response+json, application/json"}
        )

    def __enter__(self) -> Fitgraph:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of one operation. Raises FitgraphError when the answer has errors."""
        answer = self._http.post("/graphql", json={"query": query, "variables": variables}).json()
        for error in answer.get("errors", ()):
            raise FitgraphError(error.get("extensions", {}).get("code", "UNKNOWN"), error["message"])
        data: dict[str, Any] = answer["data"]
        return data

    def fits(self, model: str, workload: str = "CODING", page: int = 50) -> Iterator[Fit]:
        """Every fit of a model, best score first. Raises FitgraphError, or LookupError for an unknown model."""
        after: str | None = None
        while True:
            variables = {"model": model, "workload": workload, "first": page, "after": after}
            owner = self.ask(FITS, variables)["model"]
            if owner is None:
                raise LookupError(f"no model is called {model!r}")
            yield from map(_fit, owner["fits"]["nodes"])
            after = owner["fits"]["pageInfo"]["endCursor"]
            if not owner["fits"]["pageInfo"]["hasNextPage"]:
                return


def _fit(node: dict[str, Any]) -> Fit:
    decode, memory = node["decode"], node["memory"]
    return Fit(
        gpu=node["gpu"]["name"],
        quant=node["quant"]["name"],
        status=node["status"],
        grade=node["grade"],
        decode=decode and Speed(decode["tokensPerSecond"], decode["low"], decode["high"]),
        total_bytes=memory and memory["totalBytes"],
        usable_bytes=memory and memory["usableBytes"],
    )


def main() -> int:
    """Print the best fits. Returns 1 after an error of the API."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("model")
    parser.add_argument("--workload", default="CODING")
    parser.add_argument("--most", type=int, default=20)
    arguments = parser.parse_args()
    try:
        with Fitgraph(arguments.url) as api:
            for fit in islice(api.fits(arguments.model, arguments.workload), arguments.most):
                speed = "" if fit.decode is None else f"{fit.decode.tokens_per_second:7.1f} tok/s"
                print(f"{fit.grade} {speed:>14}  {fit.gpu}, {fit.quant} ({fit.status})")
    except (FitgraphError, LookupError, httpx.HTTPError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
