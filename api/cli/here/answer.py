"""`fitgraph here`: the machine in front, the best models on it, and the command that starts each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from api.answers.choices.machine import resolved
from api.answers.choices.models import Question, Recommended, recommended_models
from api.answers.choices.plans import plan_of
from api.cli.choices.recommend import member
from api.errors import ErrorCode, QuestionError
from api.machine.description import Description
from api.machine.detect import describe, this_machine
from api.machine.identify import Identified, identify, stated
from api.machine.probe import Probe, RecordedMachine, ThisMachine
from api.machine.text import GIB, MIB
from db.entries import specs
from db.entries.files import Catalog, load_catalog
from estimator.advice.command import Command, Tool
from estimator.advice.commands import commands
from estimator.calibration.coefficients import Calibration
from estimator.fit_facts import FitFacts
from estimator.types import SERVERS, EstimatorError, OperatingMode

#: Tools by the words of ``--engine``.
TOOLS = {
    "llama.cpp": Tool.LLAMA_SERVER, "ollama": Tool.OLLAMA, "lm-studio": Tool.LM_STUDIO, "vllm": Tool.VLLM,
    "sglang": Tool.SGLANG, "mlx": Tool.MLX,
}  # fmt: skip
#: Engines that do not run natively on a system. Source: https://docs.vllm.ai/en/latest/getting_started/installation/gpu/
_FOREIGN = {"Windows": frozenset(SERVERS)}


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that the command line states in the place of detected ones; None and empty leave them."""

    gpus: Sequence[str] = ()
    no_gpu: bool = False
    processor: str | None = None
    memory_gb: float | None = None
    memory_channels: float | None = None
    memory_mt_s: int | None = None
    free_gb: float | None = None
    wired_limit_mb: int | None = None
    engines: Sequence[str] = ()
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line's words."""

    facts: Facts
    workload: str
    mode: str
    users: int | None
    recorded: Path | None
    record: Path | None


@dataclass(frozen=True, slots=True)
class Row:
    """One model to run: its plan, and the command to start it; ``installed`` tells whether its tool is there."""

    plan: FitFacts
    command: Command | None
    installed: bool


@dataclass(frozen=True, slots=True)
class Here:
    """The whole answer."""

    description: Description
    identified: Identified
    question: Question
    best: tuple[Recommended, ...]
    rows: tuple[Row, ...]

    def fits_now(self, row: Row) -> bool | None:
        """Whether a plan fits into the memory that is free at the moment; None where that is unknown."""
        free, available = self.identified.free_bytes, self.description.memory.available_bytes
        memory = row.plan.estimate.memory
        if free is None:
            return None
        if not self.identified.machine.devices[0].has_own_memory:
            return memory.total_bytes + memory.host_bytes <= free
        return memory.total_bytes <= free and (available is None or memory.host_bytes <= available)


def here(asked: Asked, number: int) -> Here:
    """Detect the machine, rank the models, and lay out each.

    Raises:
        QuestionError: the machine is not known well enough, or a word of the command line names nothing.
    """
    probe = _probe(asked)
    catalog = load_catalog()
    description = with_facts(describe(probe), asked.facts)
    if asked.record is not None and isinstance(probe, ThisMachine):
        asked.record.write_text(probe.recorded(), encoding="utf-8")
    identified = machine_here(catalog, description, asked.facts)
    workload = specs.workload(catalog.workloads[resolved(catalog, "workload", asked.workload)])
    question = Question(
        identified.machine, workload, member(OperatingMode, "mode", asked.mode), users=asked.users,
        left_out=_FOREIGN.get(description.system, frozenset()),
    )  # fmt: skip
    calibration = Calibration.load()
    best = recommended_models(catalog, calibration, question, number)
    plans = [plan_of(calibration, question, entry) for entry in best]
    return Here(description, identified, question, best, tuple(row_of(plan, description.tools) for plan in plans))


def _probe(asked: Asked) -> Probe:
    if asked.recorded is None:
        return this_machine()
    try:
        return RecordedMachine(asked.recorded.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise QuestionError(ErrorCode.BAD_USER_INPUT, f"{asked.recorded}: {error}", "from") from error


def with_facts(description: Description, facts: Facts) -> Description:
    """The description with what the command line states.

    Raises:
        QuestionError: an engine has an unknown name.
    """
    memory = description.memory
    if facts.memory_gb is not None:
        memory = replace(memory, total_bytes=round(facts.memory_gb * GIB), available_bytes=None)
    if facts.memory_channels is not None:
        memory = replace(memory, bus_bits=round(64 * facts.memory_channels))
    if facts.memory_mt_s is not None:
        memory = replace(memory, speed_mt_s=facts.memory_mt_s)
    limit = facts.wired_limit_mb
    return replace(
        description,
        system=facts.system or description.system,
        processor=facts.processor or description.processor,
        memory=memory,
        tools=tuple(map(_tool, facts.engines)) or description.tools,
        wired_limit_bytes=description.wired_limit_bytes if limit is None else limit * MIB,
    )


def _tool(name: str) -> Tool:
    if name.casefold() not in TOOLS:
        allowed = ", ".join(TOOLS)
        raise QuestionError(ErrorCode.BAD_USER_INPUT, f"--engine is {name!r}; allowed are {allowed}", "engine")
    return TOOLS[name.casefold()]


def machine_here(catalog: Catalog, description: Description, facts: Facts) -> Identified:
    """The machine of a description, or that of the accelerators which the command line names.

    Raises as :func:`identify`, and for a limit that the machine cannot have.
    """
    try:
        if facts.gpus:
            # The detected limit is that of another Mac.
            limit = None if facts.wired_limit_mb is None else facts.wired_limit_mb * MIB
            identified = stated(catalog, replace(description, wired_limit_bytes=limit), facts.gpus)
        else:
            identified = identify(catalog, description, processor_alone=facts.no_gpu)
    except EstimatorError as error:
        raise QuestionError(ErrorCode.BAD_USER_INPUT, str(error), "wired_limit_mb") from error
    free = facts.free_gb
    return identified if free is None else replace(identified, free_bytes=round(free * GIB))


def row_of(plan: FitFacts, tools: Sequence[Tool]) -> Row:
    """A plan with the first command whose tool is installed, else the first."""
    known = commands(plan)
    own = [command for command in known if command.tool in tools]
    return Row(plan, next(iter(own or known), None), bool(own))
