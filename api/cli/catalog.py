"""`fitgraph catalog`: check, search, list and renew the catalog files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

catalog_app = typer.Typer(no_args_is_help=True, help="Check, search and renew the catalog files.")


@catalog_app.command("check")
def catalog_check(
    root: Annotated[Path | None, typer.Argument(help="Folder of catalog files; default: the bundled one.")] = None,
) -> None:
    """Validate every catalog file; name file, entry and field of each fault."""
    from api.cli.operate import check_command

    raise typer.Exit(check_command(root))


@catalog_app.command("find")
def catalog_find(
    text: Annotated[str, typer.Argument(help="Part of a name, a slug or an alias.")],
) -> None:
    """List models, accelerators and quantizations whose names contain a text."""
    from api.cli.operate import find_command

    raise typer.Exit(find_command(text))


@catalog_app.command("capability", epilog="Example: `fitgraph catalog capability --json`")
def catalog_capability(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    accuracy: Annotated[bool, typer.Option("--accuracy", help="Print how well capability is known instead.")] = False,
) -> None:
    """List what every model can do by kind of work, with 80 % intervals and evidence."""
    from api.cli import judgement

    if accuracy:
        raise typer.Exit(judgement.accuracy_command("capability", as_json=as_json))
    raise typer.Exit(judgement.capability_command(as_json=as_json))


@catalog_app.command("loss", epilog="Examples: `fitgraph catalog loss`, `fitgraph catalog loss 'Qwen3 32B'`")
def catalog_loss(
    model: Annotated[str | None, typer.Argument(help="Model; default: models of several sizes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    accuracy: Annotated[bool, typer.Option("--accuracy", help="Print how well loss is known instead.")] = False,
) -> None:
    """List what every quantization costs: divergence, and points of capability."""
    from api.cli import judgement

    if accuracy:
        raise typer.Exit(judgement.accuracy_command("loss", as_json=as_json))
    raise typer.Exit(judgement.loss_command(model, as_json=as_json))


@catalog_app.command(
    "prices", epilog="Examples: `fitgraph catalog prices`, `fitgraph catalog prices 'RTX 3090' --json`"
)
def catalog_prices(
    product: Annotated[str | None, typer.Argument(help="Accelerator or computer; default: the newest of all.")] = None,
    region: Annotated[str, typer.Option(help="Region whose prices are preferred.")] = "US",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List dated prices: the newest of each kind, or every price of one product."""
    from api.cli.choices.market import prices_command

    raise typer.Exit(prices_command(product, region, as_json=as_json))


@catalog_app.command("computers", epilog="Example: `fitgraph catalog computers --json`")
def catalog_computers(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List computers that one can buy: accelerator or places for cards, memory, power supply, price."""
    from api.cli.choices.market import computers_command

    raise typer.Exit(computers_command(as_json=as_json))


@catalog_app.command(
    "import",
    epilog="Examples: `fitgraph catalog import Qwen/Qwen3-8B`, `fitgraph catalog import ./checkpoint --into ./mine`, "
    "`fitgraph catalog import wanted.txt --dry-run --json`",
)
def catalog_import(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Repositories (org/name), local configs, folders, GGUF or safetensors files, or lists (.txt, .jsonl)."
        ),
    ],
    into: Annotated[
        Path | None, typer.Option(help="Folder of catalog files to write; default: the bundled one.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and judge, write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a source.")] = False,
) -> None:
    """Add models from repositories or files, where their tensors are those of the checkpoint to 0.05 %."""
    from api.cli.ingest import import_command

    raise typer.Exit(import_command(sources, into, dry_run=dry_run, as_json=as_json))


@catalog_app.command("compare")
def catalog_compare(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare the catalog with two independent lists of facts; fail on a difference that nothing explains."""
    from api.cli.ingest import cross_check_command

    raise typer.Exit(cross_check_command(as_json=as_json))


@catalog_app.command(
    "diff", epilog="Examples: `fitgraph catalog diff published bundled`, `fitgraph catalog diff git:HEAD~20 bundled`"
)
def catalog_diff(
    before: Annotated[str, typer.Argument(help="A folder, bundled, published (the database) or git:REVISION.")],
    after: Annotated[str, typer.Argument(help="As BEFORE.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a change.")] = False,
) -> None:
    """List what was added, removed and changed between two states of the catalog, with both values."""
    from api.cli.ingest import diff_command

    raise typer.Exit(diff_command(before, after, as_json=as_json))


@catalog_app.command("stale", epilog="Examples: `fitgraph catalog stale`, `fitgraph catalog stale --json`")
def catalog_stale(
    least: Annotated[int, typer.Option(help="Least count of a name that was not found.", min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a fact or name.")] = False,
) -> None:
    """Count unknown, recalled and unconfirmed facts, and list names that people asked for and the catalog has not."""
    from api.cli.ingest import stale_command

    raise typer.Exit(stale_command(least, as_json=as_json))


@catalog_app.command("watch", epilog="Examples: `fitgraph catalog watch --dry-run`, `fitgraph catalog watch --json`")
def catalog_watch(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look and judge, write nothing.")] = False,
    recompute: Annotated[bool, typer.Option(help="Recompute what changed.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a repository and a change.")] = False,
) -> None:
    """Import new repositories of the listed publishers and of the chart, and recompute what changed."""
    from api.cli.ingest import watch_command

    raise typer.Exit(watch_command(dry_run=dry_run, recompute=recompute, as_json=as_json))
