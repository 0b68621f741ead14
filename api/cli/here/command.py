"""Options of `fitgraph here`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from api.cli.choices.options import ENGINES, MODE, WORKLOAD, one_of

if TYPE_CHECKING:
    from api.cli.here.answer import Asked, Facts

T = TypeVar("T")
EPILOG = (
    "Examples: `fitgraph here --workload chat`, `fitgraph here --gpu 'RTX 3090' --gpu 'RTX 3090' --json`, "
    "`fitgraph here --memory-channels 2 --memory-mt-s 5600`, `fitgraph here --record machine.txt`"
)


def here(
    workload: Annotated[str, WORKLOAD] = "coding",
    mode: Annotated[str, MODE] = "balanced",
    users: Annotated[int | None, typer.Option(help="People answered at once.", min=1, max=1024)] = None,
    gpu: Annotated[list[str] | None, typer.Option(help="Instead of the detected: may be repeated.")] = None,
    no_gpu: Annotated[bool, typer.Option("--no-gpu", help="Rank for the processor alone.")] = False,
    processor: Annotated[str | None, typer.Option(help="Name of the processor.")] = None,
    host_memory_gb: Annotated[float | None, typer.Option(help="System memory, GiB.", min=0.5, max=65_536)] = None,
    memory_channels: Annotated[float | None, typer.Option(help="Channels of 64 bits.", min=0.25, max=64)] = None,
    memory_mt_s: Annotated[int | None, typer.Option(help="Data rate of memory, MT/s.", min=200, max=30_000)] = None,
    free_memory_gb: Annotated[float | None, typer.Option(help="Memory that is free now, GiB.", min=0)] = None,
    wired_limit_mb: Annotated[int | None, typer.Option(help="Limit of a Mac's GPU memory, MiB.", min=1)] = None,
    engine: Annotated[
        list[str] | None,
        one_of(ENGINES, "Installed: {}; may be repeated."),
    ] = None,
    system: Annotated[str | None, typer.Option(help="Name of the operating system.")] = None,
    recorded: Annotated[Path | None, typer.Option("--from", help="Answer for a recorded machine.")] = None,
    record: Annotated[Path | None, typer.Option(help="Write what this machine answered to a file.")] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Instead: run a short benchmark, and compare it with the estimate.")
    ] = False,
    model_file: Annotated[Path | None, typer.Option(help="With --measure: the GGUF file to run.")] = None,
    rows: Annotated[Path, typer.Option(help="With --measure: where its rows for contribution go.")] = Path(
        "measured.jsonl"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    number: Annotated[int, typer.Option("-n", help="Most models.", min=1, max=1000)] = 10,
) -> None:
    """Detect this machine and list the best models for it, with speed, memory and the command to start each."""
    from api.cli.here.answer import Asked, Facts

    facts = Facts(
        gpu or (), no_gpu, processor, host_memory_gb, memory_channels, memory_mt_s, free_memory_gb, wired_limit_mb,
        engine or (), system,
    )  # fmt: skip
    if measure:
        raise typer.Exit(_measured(facts, model_file, rows, as_json=as_json))
    raise typer.Exit(_answered(Asked(facts, workload, mode, users, recorded, record), number, as_json=as_json))


def _answered(asked: Asked, number: int, *, as_json: bool) -> int:
    """Print the best ``number`` models for this machine. Returns 0, or 3 when there is no answer."""
    from api.cli.here.answer import here as answer_here
    from api.cli.here.text import here_json, print_here

    return _printed(lambda: answer_here(asked, number), here_json, print_here, as_json=as_json)


def _measured(facts: Facts, model_file: Path | None, rows: Path, *, as_json: bool) -> int:
    """Measure, and print the report. Returns 0, or 3 when nothing can be measured."""
    from api.cli.here.measure import measured, print_report, report_json

    return _printed(
        lambda: measured(facts, model_file), report_json, lambda report: print_report(report, rows), as_json=as_json
    )


def _printed(
    answer: Callable[[], T], to_json: Callable[[T], Any], print_text: Callable[[T], None], *, as_json: bool
) -> int:
    import orjson

    from api.cli.exit_codes import NO_ANSWER
    from api.errors import QuestionError

    try:
        answered = answer()
    except QuestionError as error:
        typer.echo(f"fitgraph: {error}", err=True)
        return NO_ANSWER
    if as_json:
        typer.echo(orjson.dumps(to_json(answered), option=orjson.OPT_INDENT_2))
    else:
        print_text(answered)
    return 0
