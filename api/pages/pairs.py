"""From an address to fits: ``{model}-on-{gpu}``, and the quantization, workload and mode of the query string."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import QueryParams

from api.answers.story import Answers
from api.errors import ApiError, ErrorCode, NotFoundError
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog_view import CatalogView
from api.graphql.context import RequestContext
from api.graphql.fits.queries import best_of
from api.graphql.fits.types import Fit
from db.fits.layout import SLOTS
from estimator.types import OperatingMode, Status, WorkloadKind

SEPARATOR = "-on-"
#: Longest accepted part of an address; real ones have at most 70 characters.
MAX_ADDRESS_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Pair:
    """Everything that a page about one pairing shows: the chosen fit and its siblings, all of one generation."""

    view: CatalogView
    chosen: Fit
    fits: tuple[Fit, ...]
    mode: OperatingMode

    @property
    def workloads(self) -> list[Fit]:
        """The chosen quantization in every workload, in their order."""
        own = [fit for fit in self.fits if fit.quant is self.chosen.quant]
        return sorted(own, key=lambda fit: self.view.workloads.index(fit.workload))

    @property
    def options(self) -> list[Fit]:
        """The chosen workload in every quantization that an engine runs, fewest bits first; the chosen one always."""
        own = [fit for fit in self.fits if fit.workload is self.chosen.workload]
        return [fit for fit in own if fit.status is not Status.UNSUPPORTED or fit.quant is self.chosen.quant]

    @property
    def best(self) -> Fit | None:
        """The recommended quantization for the chosen workload; None when nothing runs."""
        return next((fit for fit in self.options if fit.recommended), None)


def resolve_pair(view: CatalogView, address: str) -> tuple[Model, Gpu]:
    """Model and accelerator of ``{model}-on-{gpu}``; either may be an alias with dashes for blanks.

    Raises:
        ApiError: the address has no ``-on-``, is too long, or names something unknown.
    """
    if len(address) > MAX_ADDRESS_CHARACTERS:
        raise ApiError(
            ErrorCode.BAD_USER_INPUT, f"an address may have {MAX_ADDRESS_CHARACTERS} characters, not {len(address)}"
        )
    cuts = [at for at in range(len(address)) if address.startswith(SEPARATOR, at)]
    if not cuts:
        raise ApiError(ErrorCode.BAD_USER_INPUT, "an address has the form {model}-on-{gpu}")
    problem: NotFoundError | None = None
    for cut in cuts:
        try:
            return _named(view, address[:cut], address[cut + len(SEPARATOR) :])
        except NotFoundError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _named(view: CatalogView, model: str, gpu: str) -> tuple[Model, Gpu]:
    try:
        found = view.model(model)
    except NotFoundError:
        found = view.model(model.replace("-", " "))
    try:
        return found, view.gpu(gpu)
    except NotFoundError:
        return found, view.gpu(gpu.replace("-", " "))


async def load_pair(context: RequestContext, address: str, chosen: QueryParams) -> Pair:
    """The pair of an address with what its query string chose.

    Raises:
        ApiError: a name or a choice is unknown, a fact is missing, or the database does not answer.
    """
    view = context.view
    model, gpu = resolve_pair(view, address)
    workload = _workload(view, chosen.get("workload"))
    mode = _mode(chosen.get("mode"))
    fits = await context.loaders.pairing(model, gpu, None)
    wanted = chosen.get("quant")
    if wanted:
        quant = view.quant(wanted)
        if not any(fit.quant is quant for fit in fits):
            fits = [*fits, *await _unpublished(context, model, gpu, wanted)]
        picked = next(fit for fit in fits if fit.quant is quant and fit.workload.kind is workload)
    else:
        best = best_of([fit for fit in fits if fit.workload.kind is workload])
        if best is None:
            raise ApiError(ErrorCode.UNSUPPORTED, f"no engine runs {model.name} on {gpu.name} in any quantization")
        picked = best
    order = {quant.slug: number for number, quant in enumerate(view.quants)}
    return Pair(view, picked, tuple(sorted(fits, key=lambda fit: order[fit.quant.slug])), mode)


async def _unpublished(context: RequestContext, model: Model, gpu: Gpu, quant: str) -> list[Fit]:
    from api.graphql.fits.queries import find_fit

    found = [await find_fit(context, model, gpu, quant, kind) for kind in SLOTS]
    return [fit for fit in found if fit is not None]


def _workload(view: CatalogView, text: str | None) -> WorkloadKind:
    if not text:
        return WorkloadKind.CODING
    for workload in view.workloads:
        if workload.slug == text:
            return WorkloadKind(workload.spec.kind)
    allowed = ", ".join(workload.slug for workload in view.workloads)
    raise ApiError(ErrorCode.BAD_USER_INPUT, f"'workload' must be one of {allowed}")


def _mode(text: str | None) -> OperatingMode:
    if not text:
        return OperatingMode.BALANCED
    try:
        return OperatingMode(text)
    except ValueError:
        allowed = ", ".join(mode.value for mode in OperatingMode)
        raise ApiError(ErrorCode.BAD_USER_INPUT, f"'mode' must be one of {allowed}") from None


def answers_of(pair: Pair) -> Answers:
    """Texts and advice of the chosen fit."""
    return Answers(pair.view, pair.chosen)
