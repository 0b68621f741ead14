"""What each field costs beyond the one point that every field counts.

A connection multiplies its subtree by the page size; a plain list by the items it usually has, or by the length of the
argument that makes it long. Surcharges stand for a database statement or an estimate.
"""

from __future__ import annotations

from api.graphql.execution.limits import FieldCost

_PAGE = FieldCost(surcharge=1, page=True)
#: Fits that lie all over the table, met in the order of an index that is not their own.
_SPREAD = FieldCost(surcharge=20, page=True)
_TEXT = FieldCost(surcharge=5)
#: Texts that first take a fit apart into its terms: milliseconds each.
_TERMS = FieldCost(surcharge=30)
#: What asks the estimator about changes, one after the other.
_SEARCH = FieldCost(surcharge=400)
_ADVICE = FieldCost(surcharge=400, items=6)
_QUANTS = 30
_WORKLOADS = 5

FIELD_COSTS: dict[str, FieldCost] = {
    "Query.models": _PAGE,
    "Query.gpus": _PAGE,
    "Query.fits": _PAGE,
    "Query.runs": _PAGE,
    "Query.measurements": _PAGE,
    "Query.quants": FieldCost(items=_QUANTS),
    "Query.workloads": FieldCost(items=_WORKLOADS),
    "Query.engines": FieldCost(items=4),
    "Query.hosts": FieldCost(items=6),
    "Query.computers": _PAGE,
    "Query.purchases": FieldCost(surcharge=400, page=True),
    "Query.rentOrBuy": _TEXT,
    "Gpu.prices": FieldCost(items=5),
    "Computer.prices": FieldCost(items=3),
    "Query.nodes": FieldCost(surcharge=5, items=20, list_argument="ids"),
    "Query.fit": FieldCost(surcharge=20),
    "Query.node": FieldCost(surcharge=20),
    "Query.compareMany": FieldCost(surcharge=10, items=50),
    "Query.compareGpus": FieldCost(surcharge=10, items=20, list_argument="gpus"),
    "Query.compareModels": FieldCost(surcharge=10, items=20, list_argument="models"),
    "Query.recommendations": FieldCost(surcharge=60, page=True),
    "Query.smallestSetups": FieldCost(surcharge=2000, page=True),
    "Setup.estimate": _TEXT,
    "FitAdvice.estimate": _TEXT,
    "Query.upgradeGains": FieldCost(surcharge=100, page=True),
    "Query.rankedModels": FieldCost(surcharge=100, page=True),
    "Query.tierList": FieldCost(surcharge=100, items=6),
    # A model stands in one tier, so the tiers together hold each model once: about sixty a tier.
    "Tier.fits": FieldCost(items=60),
    "Query.estimate": FieldCost(surcharge=10),
    "Query.estimates": FieldCost(surcharge=5, items=100, list_argument="inputs"),
    "Mutation.upsertModel": FieldCost(surcharge=1000),
    "Mutation.upsertGpu": FieldCost(surcharge=1000),
    "Mutation.recompute": FieldCost(surcharge=1000),
    "Mutation.cancelRun": FieldCost(surcharge=100),
    "Model.fits": _PAGE,
    "Model.quants": FieldCost(surcharge=1, items=_QUANTS),
    "Gpu.fits": _PAGE,
    "Workload.fits": _PAGE,
    "Host.fits": _PAGE,
    "Quant.fits": _SPREAD,
    "Engine.fits": _SPREAD,
    "FitConnection.totalCount": FieldCost(surcharge=200),
    "Fit.headline": _TEXT,
    "Fit.summary": _TERMS,
    "Fit.capacityMessage": _TERMS,
    "Fit.limits": _TERMS,
    "Fit.scoreParts": _TEXT,
    "Fit.commands": _TEXT,
    "Fit.missingCommands": _TEXT,
    "Estimate.headline": _TEXT,
    "Estimate.summary": _TERMS,
    "Estimate.capacityMessage": _TERMS,
    "Estimate.limits": _TERMS,
    "Estimate.scoreParts": _TEXT,
    "Estimate.advice": _ADVICE,
    "Estimate.serving": _SEARCH,
    "Estimate.commands": _TEXT,
    "Estimate.missingCommands": _TEXT,
    "Fit.modeScore": _TEXT,
    "Fit.advice": _ADVICE,
    "Fit.serving": _SEARCH,
    "FitServing.points": FieldCost(surcharge=20, items=12, list_argument="people"),
    "FitServing.engines": FieldCost(surcharge=400, items=3),
    "Fit.faq": _SEARCH,
    "Fit.measurements": _PAGE,
    "Fit.workloads": FieldCost(surcharge=1, items=_WORKLOADS),
    "Fit.quantOptions": FieldCost(surcharge=1, items=_QUANTS),
}
#: Types whose answers change within a generation; responses with them are not cached.
VOLATILE_TYPES = frozenset({"Catalog", "Run", "RunConnection"})
