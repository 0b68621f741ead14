"""Questions before a purchase: setups that serve users or reach a target, and the gains of an upgrade."""

from __future__ import annotations

from dataclasses import dataclass, replace

from api.answers.choices.prices import prices_of
from api.answers.facts import facts_of_plan
from api.catalog.records import GpuRecord, ModelRecord, QuantRecord
from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode
from estimator.advice.commands import commands
from estimator.estimate import cell_of, sweep
from estimator.fit_facts import FitFacts, request_of
from estimator.grid import FitBlock
from estimator.judgement import recommend
from estimator.judgement.buying import DESKTOP_CARDS, Ware, is_card
from estimator.types import EstimateRequest, EstimatorError, WorkloadKind

#: Numbers of equal accelerators that are tried.
CARD_COUNTS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Setup:
    """Equal accelerators with a quantization, and the plan on them."""

    gpu: GpuRecord
    quant: QuantRecord
    choice: recommend.Setup
    plan: FitFacts


def _for_users(request: EstimateRequest, count: int, target: recommend.Target) -> EstimateRequest:
    """``count`` accelerators for all users of a target, who are at all depths at once."""
    return replace(request, gpu_count=count, batch=target.users or 1, expected_occupancy=True)


def smallest_setups(
    view: CatalogView,
    model: ModelRecord,
    target: recommend.Target,
    workload: WorkloadKind,
    buyer: recommend.Buyer,
    size: int,
    cards: int = DESKTOP_CARDS,
) -> list[Setup]:
    """Setups without offload that reach a target, one an accelerator, cheapest today first; takes up to a second.

    A computer takes ``cards`` cards; what is no card comes in a server with up to eight.

    Raises ``UNSUPPORTED`` for settings that no engine has.
    """
    gpus = [gpu for gpu in view.gpus if not gpu.missing_facts]
    quants = view.precomputed_quants
    use = view.workload_of(workload).spec
    devices, hosts = tuple(gpu.accelerator for gpu in gpus), tuple(view.host_of(gpu) for gpu in gpus)
    specs, architecture = tuple(quant.spec for quant in quants), view.architecture(model)

    def block(count: int) -> FitBlock:
        request = _for_users(request_of(specs[0], devices[0], hosts[0]), count, target)
        return sweep(architecture, request, devices, specs, view.calibration, use, hosts, offloads=False)

    try:
        blocks = {count: block(count) for count in CARD_COUNTS}
    except EstimatorError as error:
        raise ApiError(ErrorCode.UNSUPPORTED, str(error)) from error

    def plan(count: int, g: int, q: int) -> FitFacts:
        request = _for_users(request_of(specs[q], devices[g], hosts[g]), count, target)
        estimate = cell_of(blocks[count], g, q, 0, use.context_tokens)
        return facts_of_plan(model.entry, architecture, request, estimate, use)

    def startable(count: int, g: int, q: int) -> bool:
        return bool(commands(plan(count, g, q)))

    prices = view.derived(prices_of)
    wares = [Ware(gpu.accelerator, view.board(gpu), ()) for gpu in gpus]
    setups = recommend.smallest_setups(
        blocks,
        0,
        devices,
        target.for_each_user(use),
        buyer,
        startable,
        prices=[prices[device.slug] for device in devices],
        most=[cards if is_card(ware) else CARD_COUNTS[-1] for ware in wares],
    )[:size]
    return [
        Setup(gpus[setup.gpu], quants[setup.quant], setup, plan(setup.count, setup.gpu, setup.quant))
        for setup in setups
    ]
