"""The schema, and how its operations are run: prepared documents, priced operations, pinned state, masked faults."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import strawberry
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    Undefined,
)
from graphql.execution.values import get_variable_values
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError

from api.errors import ApiError, ErrorCode, LimitExceededError, too_slow
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.hosts import Host
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.context import RequestContext
from api.graphql.core.errors import code_of, graphql_error, log_fault
from api.graphql.core.scalars import SCALARS
from api.graphql.execution import patches
from api.graphql.execution.documents import Documents
from api.graphql.execution.field_costs import PRICES, VOLATILE_TYPES
from api.graphql.execution.limits_variables import check_variables
from api.graphql.execution.plain import PlainExecutor, close_unstarted
from api.graphql.execution.whole import Finish, compile_query, run_query
from api.graphql.fits.types import Fit
from api.graphql.query import Query
from api.graphql.runs.mutation import Mutation
from api.graphql.runs.runs import Run
from api.graphql.runs.subscription import Subscription
from api.settings import ApiSettings, QueryLimits

if TYPE_CHECKING:
    from api.observe.operations import Observer


_SUGGESTION = re.compile(r" ?Did you mean [^?]*\?")


class FitSchema(strawberry.Schema):
    """Strawberry's schema with our own preparation of documents in place of parse and validation per request."""

    documents: Documents
    #: Set when operations are observed.
    observer: Observer | None = None

    def configure(self, limits: QueryLimits, cache_size: int = 512, *, introspection: bool = True) -> FitSchema:
        """Set the limits of documents; empties the cache of prepared ones."""
        self.documents = Documents(
            self._schema, limits, PRICES, VOLATILE_TYPES, cache_size, introspection=introspection
        )
        return self

    async def _prepare_operation_async(
        self, context: ExecutionContext, extensions_runner: Any
    ) -> PreExecutionError | None:
        prepared = self.documents.prepare(context.query or "")
        if prepared.errors:
            return _refused(context, prepared.errors)
        context.graphql_document = prepared.document
        try:
            operation = prepared.operation(context.operation_name)
            kind = operation.operation.name
            if kind not in {allowed.name for allowed in context.allowed_operations}:
                raise ApiError(ErrorCode.BAD_USER_INPUT, f"A {kind.lower()} cannot be run over this transport.")
            check_variables(context.variables, self.documents.limits.variable_values)
            cost = self.documents.cost(prepared, operation, context.variables or {})
        except ApiError as error:
            return _refused(context, [graphql_error(error)])
        if isinstance(context.context, RequestContext):
            context.context.cost = cost
            context.context.plans = prepared.plans
        return None

    @staticmethod
    def remove_field_suggestion(error: GraphQLError) -> None:
        """Take near names of the schema out of a message, wherever graphql-core put them; names of entities stay."""
        if not isinstance(error.original_error, ApiError):
            error.message = _SUGGESTION.sub("", error.message)

    async def execute(self, query: str | None, *args: Any, **kwargs: Any) -> Any:
        """Run an operation that has one answer."""
        if self.observer is None and (answered := await self._compiled(query or "", *args, **kwargs)) is not None:
            return answered
        run = super().execute
        try:
            if self.observer is None:
                return await run(query, *args, **kwargs)
            return await self.observer.execute(query, kwargs, lambda: run(query, *args, **kwargs))
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
        """The answer of a query that is compiled as a whole; None when it must be run the general way."""
        prepared = self.documents.prepare(query)
        plans = prepared.plans
        if plans is None or prepared.errors or type(context_value) is not RequestContext:
            return None
        try:
            operation = prepared.operation(operation_name)
            known = plans.queries.get(id(operation), 0)
            if known == 0 or known is None:
                # Compiling costs more than one run: it is done for what comes again.
                plans.queries.setdefault(id(operation), 1)
                return None
            check_variables(variable_values, self.documents.limits.variable_values)
            variables = get_variable_values(self._schema, operation.variable_definitions or (), variable_values or {})
            if isinstance(variables, list):
                return None
            context_value.cost = self.documents.cost(prepared, operation, variable_values or {})
            context_value.plans = plans
            if known == 1:
                known = plans.queries[id(operation)] = self._compile(prepared.document, operation, variable_values)
            if known is None or isinstance(known, int):
                return None
            data = await run_query(known, root_value, context_value, variables)
        except Exception:
            # Whatever it was, the general way meets it again and says so.
            context_value.forget()
            return None
        return ExecutionResult(data=data, errors=None, extensions={})

    def _compile(
        self, document: DocumentNode | None, operation: OperationDefinitionNode, variables: dict[str, Any] | None
    ) -> Finish | None:
        if self.execution_context_class is not PlainExecutor or operation.operation is not OperationType.QUERY:
            return None
        assert document is not None
        name = operation.name.value if operation.name is not None else None
        built = PlainExecutor.build(self._schema, document, raw_variable_values=variables, operation_name=name)
        return compile_query(built) if isinstance(built, PlainExecutor) else None

    async def stream(self, query: str | None, *args: Any, **kwargs: Any) -> Any:
        """Run over a streaming transport; each operation is pinned to the state at its own start."""
        context = kwargs.get("context_value")
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
                async with asyncio.timeout(None if self._is_subscription(query, name) else timeout):
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

    def _is_subscription(self, query: str, name: str | None) -> bool:
        try:
            prepared = self.documents.prepare(query)
            return not prepared.errors and prepared.operation(name).operation is OperationType.SUBSCRIPTION
        except ApiError:
            return False

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log faults of the server; errors of clients are theirs."""
        context = execution_context.context if execution_context is not None else None
        for error in errors:
            log_fault(error, getattr(context, "request_id", None))


def _refused(context: ExecutionContext, errors: list[GraphQLError]) -> PreExecutionError:
    for error in errors:
        # Websockets send these as they are, so that they must carry their code themselves.
        error.extensions = {"code": code_of(error), **(error.extensions or {})}
    context.pre_execution_errors = errors
    return PreExecutionError(data=None, errors=errors)


def build_schema(
    settings: ApiSettings | None = None, executor: type[StrawberryGraphQLCoreExecutionContext] = PlainExecutor
) -> FitSchema:
    """A schema with the limits of the settings, or default ones."""
    built = FitSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        execution_context_class=executor,
        types=[Model, Gpu, Quant, Workload, Engine, Host, Fit, Run],
        config=StrawberryConfig(
            scalar_map=SCALARS, disable_field_suggestions=settings is not None and not settings.suggestions
        ),
    )
    _omit_null_defaults(built)
    if settings is None:
        return built.configure(QueryLimits())
    return built.configure(settings.query_limits(), settings.document_cache, introspection=settings.introspection)


def _omit_null_defaults(built: FitSchema) -> None:
    """Print `first: Int` and not `first: Int = null`: what is left out reaches a resolver as its own default."""
    for kind in built._schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            for entry in kind.fields.values():
                if entry.default_value is None:
                    entry.default_value = Undefined
        elif isinstance(kind, GraphQLObjectType):
            for member in kind.fields.values():
                for argument in member.args.values():
                    if argument.default_value is None:
                        argument.default_value = Undefined


patches.apply()
schema = build_schema()


def main() -> None:
    """Print the schema, as `schema.graphql` has it."""
    sys.stdout.write(schema.as_str() + "\n")


if __name__ == "__main__":
    main()
