"""Texts, advice and commands of one fit, derived from its numbers at their first use.

GraphQL and the pages both read them here, so that both give the same text.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from html import escape
from urllib.parse import quote as url_quote
from urllib.parse import urlencode

from api.answers.advised import options_of
from api.answers.facts import facts_of_plan
from api.catalog.fits import FitRecord
from api.catalog.view import CatalogView
from estimator.advice import changes as advising
from estimator.advice import commands as starting
from estimator.advice import explain, questions
from estimator.advice.breakdown import Terms, terms
from estimator.advice.command import Command, MissingCommand
from estimator.advice.gains import drawback_points
from estimator.advice.options import Options
from estimator.advice.questions import Question
from estimator.advice.search import Advice
from estimator.calibration.loss import CapabilityLoss, Divergence, capability_loss
from estimator.calibration.scale import KIND_OF_WORKLOAD
from estimator.fit_facts import FitFacts, narrower_cache_type
from estimator.judgement.serving.curve import Serving, by_engine, serving
from estimator.placement.layer_sums import model_tables
from estimator.quant_choice import broken, charged
from estimator.types import EstimatorError, OperatingMode, Status, WorkloadKind
from estimator.usability import FREE_USE, comfortable_seconds, written_tokens
from estimator.verdict import ScorePart, banded, codes_of

#: Size of the card that other pages embed, CSS pixels.
CARD_WIDTH, CARD_HEIGHT = 400, 180


class PlanAnswers:
    """Texts, limits, advice and commands of one plan. Properties are computed once; those that search take some ms."""

    def __init__(self, view: CatalogView, facts: FitFacts) -> None:
        self._view = view
        self._facts = facts

    @property
    def view(self) -> CatalogView:
        return self._view

    @property
    def facts(self) -> FitFacts:
        """The plan in the estimator's words."""
        return self._facts

    @cached_property
    def terms(self) -> Terms | None:
        """Where memory and time go; None when no engine runs it."""
        if self.facts.estimate.status is Status.UNSUPPORTED:
            return None
        try:
            return terms(self.facts.model, self.facts.request, self._view.calibration, self.facts.workload)
        except EstimatorError:
            return None

    @property
    def headline(self) -> str:
        """The verdict in a few words."""
        return explain.headline(self.facts)

    @property
    def summary(self) -> str:
        """One or two sentences with the numbers."""
        return explain.summary(self.facts, self.terms)

    @property
    def capacity_message(self) -> str:
        """How far from the memory limit."""
        if self.terms is None:
            return f"no engine runs {self.facts.quant.name} on {self.facts.device_name}"
        runs = self.facts.runs or advising.some_quant_runs(self.facts, self._view.calibration, self.options)
        return explain.capacity_message(self.facts, self.terms, some_quant_runs=runs)

    @cached_property
    def limits(self) -> tuple[explain.Limit, ...]:
        return explain.limits(self.facts, self.terms)

    @cached_property
    def options(self) -> Options:
        """Everything of the catalog that may be advised."""
        return options_of(self._view, self.facts)

    @cached_property
    def advice(self) -> tuple[Advice, ...]:
        """Changes that help, best first, with computed gains."""
        return advising.advice(self.facts, self._view.calibration, self.options)

    def advice_within(self, budget_usd: float | None, max_power_w: float | None) -> tuple[Advice, ...]:
        """Advice whose purchases keep to a buyer's limits; what costs nothing is not limited."""
        if budget_usd is None and max_power_w is None:
            return self.advice
        options = replace(self.options, budget_usd=budget_usd, max_power_w=max_power_w)
        return advising.advice(self.facts, self._view.calibration, options)

    def after(self, change: Advice) -> FitFacts:
        """The plan after an advised change."""
        facts = self.facts
        entry = self._view.catalog.models.get(change.model.slug)
        return facts_of_plan(entry, change.model, change.request, change.after, facts.workload)

    @cached_property
    def serving(self) -> Serving | None:
        """The setup as a server; None without a workload, or when not even one stream is whole on the device."""
        return serving(self.facts, self._view.calibration, self._written_tokens)

    @cached_property
    def serving_engines(self) -> list[Serving]:
        """The servers of all engines that run the model here, each in its best quantization, best first."""
        return by_engine(self.facts, self._view.calibration, self.options.quants, self._written_tokens)

    @property
    def _written_tokens(self) -> int | None:
        """Tokens of an answer of the workload; a model that always thinks writes its thoughts, too."""
        workload = self.facts.workload
        return None if workload is None else round(written_tokens(workload, self.facts.model.training.least_thinking))

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        """How to start it; empty when nothing runs."""
        return starting.commands(self.facts)

    @cached_property
    def missing_commands(self) -> tuple[MissingCommand, ...]:
        """The tools that have no command for it, and why."""
        return starting.missing_commands(self.facts)

    @cached_property
    def bits_per_weight(self) -> float:
        """Bits per weight of the file, measured over all its tensors."""
        return float(model_tables(self.facts.model, (self.facts.quant,)).bits_per_weight[0])

    @cached_property
    def divergence(self) -> Divergence:
        """Divergence of the quantization and the KV cache from the original weights."""
        losses, facts = self._view.calibration.losses, self.facts
        weights = losses.divergence(facts.model.training, facts.quant, self.bits_per_weight)
        return weights.plus(losses.cache_divergence(facts.model.training, narrower_cache_type(self.facts.request)))

    @property
    def loss(self) -> CapabilityLoss:
        """Points of capability that the quantization and the KV cache cost, for the workload or for coding."""
        workload = self.facts.workload
        return capability_loss(KIND_OF_WORKLOAD[workload.kind if workload else WorkloadKind.CODING], self.divergence)

    def score_parts(self, mode: OperatingMode = OperatingMode.BALANCED) -> tuple[ScorePart, ...]:
        """The parts of the score with the weights of a mode; empty when nothing runs."""
        return explain.score_parts(self.facts, self.divergence, mode)

    def mode_score(self, mode: OperatingMode) -> float:
        """The score, 0..100, that a mode gives; the fit itself, and its word, are the same in every mode."""
        if not self.facts.runs:
            return 0.0
        total = sum(part.value * part.weight for part in self.score_parts(mode))
        return float(banded(total, codes_of(self.facts.estimate.score)))

    def rating(self, mode: OperatingMode) -> float:
        """Loss and the charges for time and drawbacks, in points less than 0, by which a mode chooses quantizations."""
        use = self.facts.workload or FREE_USE
        seconds = self.facts.answer_seconds(use)
        lost, facts = self.loss.points, self.facts
        drawback = drawback_points(facts.model, facts.request, facts.estimate)
        return float(charged(-lost - broken(lost) - drawback, seconds, comfortable_seconds(use), mode))


class Answers(PlanAnswers):
    """Those of a fit, with its questions and its card."""

    def __init__(self, fit: FitRecord) -> None:
        self._view = fit.view
        self.fit = fit

    @cached_property
    def facts(self) -> FitFacts:
        """The fit in the estimator's words. Raises :class:`MissingFactError` for a model that lacks a fact."""
        view, fit = self._view, self.fit
        model, workload = fit.model, fit.workload.spec
        return facts_of_plan(model.entry, view.architecture(model), fit.request, fit.estimate, workload)

    def faq(self, best: FitRecord | None) -> tuple[Question, ...]:
        """Questions about the pairing; ``best`` is the recommended fit of the same pairing and workload."""
        recommended = None if best is None else Answers(best).facts
        return questions.faq(self.facts, self.terms, recommended, self.advice)

    def embed_path(self) -> str:
        """Path and query of the card of this fit."""
        return f"/embed/{self._pair_slug}?{self._selection}"

    def page_path(self) -> str:
        """Path and query of the result page of this fit."""
        return f"/can/{self._pair_slug}?{self._selection}"

    def embed_html(self, base_url: str) -> str:
        """The frame to paste into another page; ``base_url`` is scheme and host without a closing slash."""
        title = escape(f"{self.fit.model.name} on {self.fit.gpu.name}: fit", quote=True)
        source = escape(base_url + self.embed_path(), quote=True)
        return (
            f'<iframe src="{source}" width="{CARD_WIDTH}" height="{CARD_HEIGHT}" title="{title}" loading="lazy" '
            'style="border:0;border-radius:12px"></iframe>'
        )

    @property
    def _pair_slug(self) -> str:
        return pair_slug(self.fit.model.slug, self.fit.gpu.slug)

    @property
    def _selection(self) -> str:
        return urlencode({"quant": self.fit.quant.slug, "workload": self.fit.workload.slug})


def pair_slug(model: str, gpu: str) -> str:
    """``{model}-on-{gpu}`` of two slugs, as the pages' addresses have it."""
    return f"{url_quote(model, safe='')}-on-{url_quote(gpu, safe='')}"
