"""Capabilities and kinds of all models, made once a view."""

from __future__ import annotations

from functools import cached_property

from api.answers.choices.models import ModelKind
from api.catalog.view import CatalogView
from api.pages.forms import Options
from db.entries.traits import model_traits
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.scale import KINDS
from estimator.judgement.capability import Capability, CapabilityTable

ABILITY_NAMES = {kind: kind.replace("_", " ").capitalize() for kind in KINDS}
KIND_NAMES: dict[str, str] = {kind.value: kind.value.replace("-", " ").capitalize() for kind in ModelKind}


class Abilities:
    """Traits and capabilities of a view's models; made by ``view.derived(Abilities)``."""

    options: Options = tuple(ABILITY_NAMES.items())

    def __init__(self, view: CatalogView) -> None:
        self._view = view
        self.traits: dict[str, ModelTraits] = model_traits(view.catalog)

    @cached_property
    def _table(self) -> dict[str, dict[str, Capability]]:
        table = CapabilityTable.load()
        return {slug: table.of(traits) for slug, traits in self.traits.items()}

    def of(self, slug: str) -> dict[str, Capability]:
        """Capability of a model by kind of work."""
        return self._table[slug]
