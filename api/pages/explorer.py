"""The in-browser explorer, served from vendored files: no other host is ever asked."""

from __future__ import annotations

from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

STATIC = Path(__file__).parent / "static"

#: Frames, other hosts and inline scripts are refused; GraphiQL's editor sets styles from its code.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

#: The first document of the explorer: everything about one pairing.
EXAMPLE_QUERY = """\
# Does Kimi Linear 48B A3B fit a V100 with 32 GB, how fast, with how much context?
query FirstScreen($model: String = "kimi-linear-48b-a3b", $gpu: String = "V100 32GB") {
  fit(model: $model, gpu: $gpu, quant: "Q4_K_M", workload: CODING) {
    status
    score
    grade
    memory {
      weightsBytes
      kvCacheBytes
      computeBytes
      overheadBytes
      totalBytes
      usableBytes
      headroomBytes
    }
    placement {
      strategy
      gpuLayers
      cpuMoeLayers
      offloadFraction
    }
    decode {
      tokensPerSecond
      low
      high
      evidence
    }
    ttftMs
    safeContextTokens
    workloadOptions {
      workload {
        name
      }
      grade
      status
      decode {
        tokensPerSecond
      }
      ttftMs
      safeContextTokens
    }
    quantOptions {
      quant {
        name
      }
      recommended
      status
      score
      memory {
        totalBytes
      }
    }
  }
}
"""

_EXPLORER = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fitgraph explorer</title>
<link rel="stylesheet" href="/static/vendor/graphiql.min.css">
<link rel="stylesheet" href="/static/explorer.css">
</head>
<body>
<main>
<h1 class="spoken">GraphQL explorer of fitgraph</h1>
<div id="explorer" data-query="{escape(EXAMPLE_QUERY)}"></div>
</main>
<noscript>The explorer needs JavaScript. The endpoint is <code>/graphql</code>.</noscript>
<script src="/static/vendor/react.production.min.js"></script>
<script src="/static/vendor/react-dom.production.min.js"></script>
<script src="/static/vendor/graphiql.min.js"></script>
<script src="/static/explorer.js"></script>
</body>
</html>
"""


async def explorer_page(_: Request) -> Response:
    """GraphiQL on this server's schema."""
    return HTMLResponse(_EXPLORER, headers=HEADERS)
