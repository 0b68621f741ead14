"""Traits given that, of models made alike, a larger or newer one is no worse."""

from __future__ import annotations

from collections.abc import Mapping

from estimator.accuracy.capability.fit import CapabilityFit
from estimator.calibration.capability_prior import ModelTraits, in_order, order_of


def ordered_traits(fit: CapabilityFit, models: Mapping[str, ModelTraits], kind: int) -> dict[str, tuple[float, float]]:
    """Means and variances of the traits of all known models that have results."""
    slugs = [slug for slug in fit.models if slug in models]
    return in_order({slug: fit.trait(slug, kind) for slug in slugs}, order_of(models[slug] for slug in slugs))
