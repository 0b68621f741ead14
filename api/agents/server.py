"""The Model Context Protocol server: five tools over :class:`Answers`, on standard input and output or over HTTP.

A result is a small JSON object, as structured content and as text. A question without an answer is a result with
``isError`` whose object has ``code``, ``message``, ``field`` and ``suggestions``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any, Literal

import orjson
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import Field, ValidationError

from api.agents.answers import MOST_COMPARED, MOST_LISTED, Answers
from api.errors import ErrorCode, QuestionError
from estimator.types import OperatingMode

INSTRUCTIONS = (
    "Facts and estimates about open-weight language models on accelerators: does a model fit, at which quantization, how fast, "
    "and what to run. Names are as people write them ('RTX 4090', 'Qwen3 32B', 'Q4_K_M'). Speeds are tokens per second with an "
    "interval of 80 % and their evidence. Cite catalog_revision and sources."
)
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

Model = Annotated[str, Field(description="Model: slug, name, alias, or repository.", min_length=1)]
Gpu = Annotated[str, Field(description="Accelerator: slug, name or alias; a count may stand before it.", min_length=1)]
Quant = Annotated[str | None, Field(description="Quantization, as Q4_K_M; default: the best for the workload.")]
Workload = Annotated[str, Field(description="chat, coding, agentic-coding, reasoning or rag.")]


class Tools:
    """The tools as an agent calls them."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def search(
        self,
        text: Annotated[str, Field(description="Part of a name.", min_length=1, max_length=200)],
        kind: Annotated[
            Literal["model", "gpu", "quant", "computer"] | None, Field(description="Only this kind.")
        ] = None,
        limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 8,
    ) -> CallToolResult:
        """Find models, accelerators, quantizations and computers by name."""
        return _result(lambda: self._answers.search(text, kind, limit))

    def fit(self, model: Model, gpu: Gpu, quant: Quant = None, workload: Workload = "coding") -> CallToolResult:
        """Tell whether a model fits an accelerator, how fast it runs, what it takes of the memory, and how to start it."""
        return _result(lambda: self._answers.fit(model, gpu, quant, workload))

    def recommend(
        self,
        gpus: Annotated[
            list[Gpu], Field(description="The machine's accelerators; none: this machine.", max_length=16)
        ] = [],  # noqa: B006
        workload: Workload = "coding",
        mode: OperatingMode = OperatingMode.BALANCED,
        users: Annotated[int | None, Field(description="People answered at once.", ge=1, le=1024)] = None,
        host_memory_gb: Annotated[float | None, Field(description="System memory, GiB.", ge=0.5, le=65_536)] = None,
        limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 5,
    ) -> CallToolResult:
        """List the best models for a machine, ranked by what is left of capability after loss and time, with commands."""
        return _result(lambda: self._answers.recommend(gpus, workload, mode, users, host_memory_gb, limit))

    def compare(
        self,
        models: Annotated[list[Model], Field(description=f"1 to {MOST_COMPARED} models.")],
        gpus: Annotated[list[Gpu], Field(description=f"1 to {MOST_COMPARED} accelerators.")],
        workload: Workload = "coding",
    ) -> CallToolResult:
        """Compare models on accelerators: every pairing in its best quantization, and the best accelerator of each model."""
        return _result(lambda: self._answers.compare(models, gpus, workload))

    def what_if(
        self,
        model: Model,
        gpu: Gpu,
        quant: Annotated[str, Field(description="Quantization, as Q4_K_M.", min_length=1)],
        workload: Workload = "coding",
        to_gpu: Annotated[str | None, Field(description="Another accelerator.")] = None,
        to_quant: Annotated[str | None, Field(description="Another quantization.")] = None,
        gpu_count: Annotated[int | None, Field(description="How many accelerators.", ge=1, le=16)] = None,
        context_tokens: Annotated[int | None, Field(description="Tokens of context.", ge=1)] = None,
        kv_cache_type: Annotated[str | None, Field(description="Type of the KV cache, as Q8_0.")] = None,
        streams: Annotated[int | None, Field(description="People answered at once.", ge=1, le=1024)] = None,
        host_memory_gb: Annotated[float | None, Field(description="System memory, GiB.")] = None,
    ) -> CallToolResult:
        """Change a setup: its speed and memory before and after a change of hardware, quantization or settings."""
        change = {
            "gpu": to_gpu, "quant": to_quant, "gpu_count": gpu_count, "context_tokens": context_tokens,
            "kv_cache_type": kv_cache_type, "batch": streams, "host_memory_gb": host_memory_gb,
        }  # fmt: skip
        question = {"model": model, "gpu": gpu, "quant": quant, "workload": workload}
        return _result(
            lambda: self._answers.what_if(question, {key: value for key, value in change.items() if value is not None})
        )


class Server(MCPServer[Any]):
    """A server that answers a wrong name of a tool, and wrong arguments, as typed as the tools answer theirs."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        takes = {tool.name: tool.input_schema["properties"] for tool in await self.list_tools()}
        if name not in takes:
            return _failed(
                QuestionError(ErrorCode.NOT_FOUND, f"no tool is called {name!r}; there are {', '.join(takes)}")
            )
        if unknown := [key for key in arguments if key not in takes[name]]:
            allowed = f"{name} takes {', '.join(takes[name])}"
            return _failed(QuestionError(ErrorCode.BAD_USER_INPUT, f"{unknown[0]!r} is unknown; {allowed}", unknown[0]))
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                return _failed(_wrong_argument(error.__cause__, takes[name]))
            raise


def _wrong_argument(error: ValidationError, takes: dict[str, Any]) -> QuestionError:
    """The first argument that is missing or wrong, and which values it may have."""
    first = error.errors()[0]
    field = str(first["loc"][0])
    fault = "is missing" if first["type"] == "missing" else f"is {str(first['input'])[:80]!r}: {first['msg']}"
    meaning = takes[field].get("description")
    return QuestionError(ErrorCode.BAD_USER_INPUT, f"{field} {fault}" + (f" ({meaning})" if meaning else ""), field)


def make_server(answers: Answers | None = None) -> Server:
    """The server with its five tools; the catalog is read once."""
    tools = Tools(answers or Answers())
    server = Server("fitgraph", instructions=INSTRUCTIONS, version=version("fitgraph"), log_level="WARNING")
    for tool in (tools.search, tools.fit, tools.recommend, tools.compare, tools.what_if):
        server.add_tool(tool, annotations=_READS)
    return server


def _result(answer: Callable[[], dict[str, Any]]) -> CallToolResult:
    """The answer as a result, or the error as a typed one."""
    try:
        return _told(answer())
    except QuestionError as error:
        return _failed(error)


def _failed(error: QuestionError) -> CallToolResult:
    return _told(error_json(error), failed=True)


def _told(content: dict[str, Any], *, failed: bool = False) -> CallToolResult:
    text = TextContent(text=orjson.dumps(content).decode())
    return CallToolResult(content=[text], structured_content=content, is_error=failed)


def error_json(error: QuestionError) -> dict[str, Any]:
    """A question without an answer as an object."""
    return {
        "code": error.code.value,
        "message": error.message,
        "field": error.field,
        "suggestions": list(error.suggestions),
    }
