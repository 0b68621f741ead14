"""Costs of fields beyond the one point that every field counts.

A connection multiplies its subtree by the page size; a plain list by the items it usually has, or by the length of the
argument that makes it long. Surcharges stand for a database statement or an estimate.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from api.graphql.execution.limits import FieldCost, When
from db.fits.query import FitField
from estimator.quant_choice import CHARGES

#: A statement of the database, in points: that of some hundred values.
_READ = 150
#: A page of what lies in memory.
_LISTED = FieldCost(surcharge=1, page=True)
#: The same by likeness to a word, which is compared with every name.
_SEARCHED = FieldCost(surcharge=1, page=True, when=(When("filter.search", 400),))
_PAGE = FieldCost(surcharge=1, once=_READ, page=True)
#: Walks through all pairings, up to a second: where no few models or accelerators are named, orders without an index, pages and
#: counts of what passes a filter.
_SCAN = 10_000
_NARROWED = ("filter.model.in", "filter.gpu.in")
_INDEXED = ("SCORE", "DECODE")
#: Fields and directions of orders that meet what passes a filter late: without an index, or from its other end.
_LATE_ORDERS = frozenset(
    (field.name, direction)
    for field in FitField
    for direction in ("ASC", "DESC", None)
    if field.name not in _INDEXED or direction == "ASC"
)


#: Filters that too few of the first rows of an index may pass: then a page is a walk, too.
_SELECTIVE = (
    "quant", "modelMatches", "gpuMatches", "status", "decodeTokensPerSecond", "ttftMs", "safeContextTokens", "score",
    "engine", "or",
)  # fmt: skip


def _scanned(page: FieldCost, points: int = _SCAN) -> FieldCost:
    """A page of fits of all pairings, or its part of ``points`` of a walk."""
    scan = partial(When, per_entry=points, unless=_NARROWED, shared=True)
    ordered = scan("orderBy.field", beside="orderBy.direction", values=_LATE_ORDERS)
    filtered = (scan(f"filter.{name}") for name in _SELECTIVE)
    return replace(page, rows=(ordered, *filtered), total=(scan("filter"),))


#: Fits that lie all over the table, met in the order of an index that is not their own.
_SPREAD = FieldCost(surcharge=20, once=_READ, page=True)
_TEXT = FieldCost(once=20)
#: Texts that first take a fit apart into its terms: milliseconds each.
_TERMS = FieldCost(once=100)
#: Fields that ask the estimator about changes, one after the other: up to half a second each.
_ADVICE = FieldCost(once=8000, items=6)
_SERVING = FieldCost(once=1000)
#: A list that is made of all fits of an accelerator, whatever its page.
_RANKED = FieldCost(surcharge=1, once=800, page=True)
_QUANTS, _WORKLOADS, _HOSTS, _ENGINES = 30, 5, 6, 4
#: A search over pairings that are not stored: up to a second.
_FOR_USERS = 10_000
_SERVING_MODES = frozenset((mode.name,) for mode, charge in CHARGES.items() if charge.users > 1)

#: Fields of every prediction: a stored fit, or the estimate of a question.
_OF_PREDICTIONS: dict[str, FieldCost] = {
    "headline": _TEXT,
    "summary": _TERMS,
    "capacityMessage": _TERMS,
    "limits": _TERMS,
    "scoreParts": _TEXT,
    "loss": _TEXT,
    "commands": _TEXT,
    "missingCommands": _TEXT,
    "advice": _ADVICE,
    "serving": _SERVING,
}
FIELD_COSTS: dict[str, FieldCost] = {
    **{f"{kind}.{name}": cost for kind in ("Prediction", "Fit", "Estimate") for name, cost in _OF_PREDICTIONS.items()},
    "Query.models": _SEARCHED,
    "Query.gpus": _SEARCHED,
    "Query.fits": _scanned(_PAGE),
    "Query.runs": FieldCost(surcharge=1, once=400, page=True),
    "Query.fitDifferences": FieldCost(surcharge=1, once=3 * _READ, page=True),
    "Query.measurements": FieldCost(surcharge=1, once=250, page=True),
    "Run.failedBlocks": FieldCost(once=20, items=5),
    "ChangeCatalogPayload.models": FieldCost(items=50),
    "ChangeCatalogPayload.gpus": FieldCost(items=50),
    "Mutation.changeCatalog": FieldCost(surcharge=2000),
    "Query.quants": FieldCost(items=_QUANTS),
    # The same objects every time, whose answers are remembered.
    "Query.benchmarks": FieldCost(items=3),
    "Query.workloads": FieldCost(items=_WORKLOADS),
    "Query.engines": FieldCost(items=_ENGINES),
    "Query.hosts": FieldCost(items=_HOSTS),
    "Query.computers": _LISTED,
    # Each model in every computer; the contenders for the best one are some forty.
    "Query.purchases": FieldCost(once=6000, page=True, when=(When("input.models", 450, most=16_000),)),
    "Query.rentOrBuy": _TEXT,
    "Gpu.prices": FieldCost(items=5),
    "Computer.prices": FieldCost(items=3),
    "Query.nodes": FieldCost(surcharge=5, items=20, lists=("ids",)),
    "Query.fit": FieldCost(once=_READ),
    "Query.node": FieldCost(surcharge=20),
    "Query.comparison": FieldCost(
        surcharge=80,
        once=_READ,
        items=20,
        lists=("input.models", "input.gpus", "input.quants", "input.gpuCounts", "input.contextTokens"),
    ),
    "Query.recommendations": FieldCost(
        surcharge=20,
        once=800,
        page=True,
        # Pairings are computed anew for several users, which some modes imply.
        when=(When("input.target.users", _FOR_USERS), When("mode", _FOR_USERS, values=_SERVING_MODES)),
    ),
    "Query.smallestSetups": FieldCost(surcharge=20, once=2500, page=True),
    "Setup.estimate": _TEXT,
    "FitAdvice.estimate": _TEXT,
    "Query.upgradeGains": _RANKED,
    "Query.rankedModels": _RANKED,
    "Query.tiers": FieldCost(once=800, items=6),
    # A model stands in one tier, so the tiers together hold each model once: about sixty a tier.
    "Tier.fits": FieldCost(items=60),
    "Query.estimate": FieldCost(once=_READ),
    "Query.estimates": FieldCost(surcharge=5, items=100, lists=("inputs",)),
    "Mutation.upsertModel": FieldCost(surcharge=1000),
    "Mutation.upsertGpu": FieldCost(surcharge=1000),
    "Mutation.recompute": FieldCost(surcharge=1000),
    "Mutation.cancelRun": FieldCost(surcharge=100),
    "Model.fits": _PAGE,
    "Model.quants": FieldCost(once=_READ, items=_QUANTS),
    "Gpu.fits": _PAGE,
    # The lists of all of a kind are one walk.
    "Workload.fits": _scanned(_PAGE, _SCAN // _WORKLOADS),
    "Host.fits": _scanned(_PAGE, _SCAN // _HOSTS),
    # Each is a walk of its own, of half the time.
    "Quant.fits": _scanned(_SPREAD, _SCAN // 2),
    "Engine.fits": _scanned(_SPREAD, _SCAN // 2),
    "FitConnection.totalCount": FieldCost(surcharge=200),
    "FitDifferenceConnection.totalCount": FieldCost(surcharge=200),
    "Query.catalog": FieldCost(surcharge=10),
    "Catalog.heldGenerations": FieldCost(once=_READ, items=2),
    "Fit.modeScore": _TEXT,
    "FitServing.points": FieldCost(surcharge=20, items=12, lists=("people",)),
    "FitServing.engines": FieldCost(once=3000, items=3),
    # Its last answer is the first advice.
    "Fit.faq": FieldCost(once=8000, items=7),
    "Fit.measurements": FieldCost(surcharge=1, once=20, page=True),
    "Catalog.lastRun": FieldCost(once=400),
    "Fit.workloadOptions": FieldCost(once=50, items=_WORKLOADS),
    "Fit.quantOptions": FieldCost(once=50, items=_QUANTS),
}
#: Types whose answers change within a generation; responses with them are not cached.
VOLATILE_TYPES = frozenset({"Catalog", "Run", "RunConnection"})
