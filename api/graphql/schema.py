"""The schema, and how its operations are run: prepared documents, priced operations, pinned state, masked faults."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLObjectType,
    Undefined,
)
from graphql.execution import get_variable_values
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError

from api.errors import ApiError, ErrorCode, LimitExceededError, too_slow
from api.graphql.catalog.computers import Computer
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.hosts import Host
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.context import RequestContext
from api.graphql.core.errors import code_of, graphql_error, log_fault
from api.graphql.core.scalars import SCALARS
from api.graphql.core.strawberry_internals import PreparedSchema, StrawberryExecutor
from api.graphql.execution.compiled import run_query
from api.graphql.execution.core_internals import ClosingExecutor, close_unstarted, mend
from api.graphql.execution.documents import Documents
from api.graphql.execution.field_costs import FIELD_COSTS, VOLATILE_TYPES
from api.graphql.execution.limits_variables import check_variables
from api.graphql.execution.observer import Observer, watch_resolvers
from api.graphql.fits.types import Fit
from api.graphql.query import Query
from api.graphql.runs.mutations import Mutation
from api.graphql.runs.subscriptions import Subscription
from api.graphql.runs.types import Run
from api.graphql.services.trusted import TrustedDocuments, read_trusted
from api.settings import ApiSettings, QueryLimits

_SUGGESTION = re.compile(r" ?Did you mean [^?]*\?")


class FitSchema(PreparedSchema):
    """The schema with prepared documents and compiled queries."""

    documents: Documents
    #: Documents that clients name by id.
    trusted = TrustedDocuments()
    #: Set when operations are observed.
    observer: Observer | None = None

    def configure(self, limits: QueryLimits, cache_size: int = 512, *, introspection: bool = True) -> FitSchema:
        """Set the limits of documents; empties the cache of prepared ones."""
        self.documents = Documents(
            self.core,
            limits,
            FIELD_COSTS,
            VOLATILE_TYPES,
            cache_size,
            introspection=introspection,
            allowed=self.trusted.allowed,
        )
        return self

    def observe(self, observer: Observer) -> None:
        """Have operations and resolvers observed."""
        self.observer = observer
        watch_resolvers(self.core, observer)

    def prepare_operation(self, context: ExecutionContext) -> list[GraphQLError]:
        """Prepare the document and the operation that ``context`` names."""
        prepared = self.documents.prepare(context.query or "")
        if prepared.errors:
            return _with_codes(prepared.errors)
        context.graphql_document = prepared.document
        try:
            operation = prepared.operation(context.operation_name)
            kind = operation.operation.name
            if kind not in {allowed.name for allowed in context.allowed_operations}:
                raise ApiError(ErrorCode.BAD_USER_INPUT, f"A {kind.lower()} cannot be run over this transport.")
            check_variables(self.core, operation, context.variables, self.documents.limits.variable_values)
            cost = self.documents.cost(prepared, operation, context.variables or {})
        except ApiError as error:
            return _with_codes([graphql_error(error)])
        if isinstance(context.context, RequestContext):
            context.context.cost = cost
        return []

    @staticmethod
    def remove_field_suggestion(error: GraphQLError) -> None:
        """Take near names of the schema out of a message, wherever graphql-core put them; names of entities stay."""
        if not isinstance(error.original_error, ApiError):
            error.message = _SUGGESTION.sub("", error.message)

    async def execute(self, query: str | None, *args: Any, **kwargs: Any) -> Any:
        """Run an operation that has one answer."""
        if self.observer is None:
            return await self._execute(query or "", *args, **kwargs)
        name, context = kwargs.get("operation_name"), kwargs.get("context_value")
        kind = self._kind(query or "", name)
        return await self.observer.execute(kind, name, context, lambda: self._execute(query or "", *args, **kwargs))

    async def _execute(self, query: str, *args: Any, **kwargs: Any) -> Any:
        if (result := await self._compiled(query, *args, **kwargs)) is not None:
            return result
        try:
            return await super().execute(query, *args, **kwargs)
        finally:
            close_unstarted(getattr(kwargs.get("context_value"), "begun", []))

    async def _compiled(
        self,
        query: str,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,
        root_value: Any = None,
        operation_name: str | None = None,
        **_options: Any,
    ) -> ExecutionResult | None:
        """The answer of a compiled query; None when graphql-core must run it."""
        prepared = self.documents.prepare(query)
        if prepared.compiled is None or not issubclass(self.execution_context_class, ClosingExecutor):
            return None
        try:
            operation = prepared.operation(operation_name)
            check_variables(self.core, operation, variable_values, self.documents.limits.variable_values)
            variables = get_variable_values(self.core, operation.variable_definitions or (), variable_values or {})
            if isinstance(variables, list):
                return None
            cost = self.documents.cost(prepared, operation, variable_values or {})
            if isinstance(context_value, RequestContext):
                context_value.cost = cost
            compiled = prepared.compiled.query(operation, variables)
            if compiled is None:
                return None
            data = await run_query(compiled, root_value, context_value, variables)
        except Exception:
            # Whatever it was, graphql-core meets it again and says so.
            if isinstance(context_value, RequestContext):
                context_value.forget()
            return None
        return ExecutionResult(data=data, errors=None, extensions={})

    def _kind(self, query: str, name: str | None) -> str:
        """Type of the operation to run, or ``refused``."""
        prepared = self.documents.prepare(query)
        if prepared.errors:
            return "refused"
        try:
            return str(prepared.operation(name).operation.value)
        except ApiError:
            return "refused"

    async def stream(self, query: str | None, *args: Any, **kwargs: Any) -> Any:
        """Run over a streaming transport; each operation is pinned to the state at its own start."""
        context = kwargs.get("context_value")
        # Some clients send an empty name for none.
        kwargs["operation_name"] = kwargs.get("operation_name") or None
        if isinstance(context, RequestContext):
            context = kwargs["context_value"] = await context.renewed()
        results = await super().stream(query, *args, **kwargs)
        if isinstance(context, RequestContext):
            results = self._limited(results, query or "", kwargs.get("operation_name"), context)
        return results if self.observer is None else self.observer.stream(results, context)

    async def _limited(
        self, results: Any, query: str, name: str | None, context: RequestContext
    ) -> AsyncGenerator[Any, None]:
        """Admit an operation by its client's points and let it pay; an answer that is no stream has limited time."""
        rates, timeout = context.services.rates, context.services.settings.request_timeout_s
        async with aclosing(results):
            try:
                await rates.admit(context.client)
                async with asyncio.timeout(None if self._kind(query, name) == "subscription" else timeout):
                    first = await anext(results, None)
            except LimitExceededError as error:
                yield PreExecutionError(data=None, errors=[graphql_error(error)])
                return
            except TimeoutError:
                yield PreExecutionError(data=None, errors=[graphql_error(too_slow(timeout))])
                return
            await rates.pay(context.client, context.cost)
            if first is not None:
                yield first
            async for result in results:
                yield result

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log faults of the server; errors of clients are theirs."""
        context = execution_context.context if execution_context is not None else None
        for error in errors:
            log_fault(error, getattr(context, "request_id", None))


def _with_codes(errors: list[GraphQLError]) -> list[GraphQLError]:
    for error in errors:
        # Websockets send these as they are, so that they must carry their code themselves.
        error.extensions = {"code": code_of(error), **(error.extensions or {})}
    return errors


def build_schema(
    settings: ApiSettings | None = None, executor: type[StrawberryExecutor] = ClosingExecutor
) -> FitSchema:
    """A schema with the limits of the settings, or default ones."""
    built = FitSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        execution_context_class=executor,
        types=[Model, Gpu, Quant, Workload, Engine, Host, Computer, Fit, Run],
        config=StrawberryConfig(
            scalar_map=SCALARS, disable_field_suggestions=settings is not None and not settings.suggestions
        ),
    )
    _omit_null_defaults(built)
    if settings is None:
        return built.configure(QueryLimits())
    built.trusted = read_trusted(settings.trusted_documents, only=settings.trusted_only)
    return built.configure(settings.query_limits(), settings.document_cache, introspection=settings.introspection)


def _omit_null_defaults(built: FitSchema) -> None:
    """Print `first: Int` and not `first: Int = null`: what is left out reaches a resolver as its own default."""
    for kind in built.core.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            for entry in kind.fields.values():
                if entry.default_value is None:
                    entry.default_value = Undefined
        elif isinstance(kind, GraphQLObjectType):
            for member in kind.fields.values():
                for argument in member.args.values():
                    if argument.default_value is None:
                        argument.default_value = Undefined


mend()
schema = build_schema()


def main() -> None:
    """Print the schema, as `schema.graphql` has it."""
    sys.stdout.write(schema.as_str() + "\n")


if __name__ == "__main__":
    main()
