"""`fitgraph`: one command for users, operators and scripts.

Exit codes: 0 done, 1 the work failed (a fault in the catalog, a failed run), 2 the command line was wrong, 3 the
question has no answer (unknown name, missing fact, no engine).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from api.agents.command import EPILOG as MCP_EPILOG
from api.agents.command import mcp
from api.cli.catalog import catalog_app
from api.cli.choices.commands import choices_app
from api.cli.choices.options import WORKLOAD
from api.cli.here.command import EPILOG as HERE_EPILOG
from api.cli.here.command import here

app = typer.Typer(name="fitgraph", rich_markup_mode="markdown")
db_app = typer.Typer(no_args_is_help=True, help="Create, upgrade and inspect the database.")
app.add_typer(catalog_app, name="catalog")
app.add_typer(db_app, name="db")
app.add_typer(choices_app)
app.command("here", epilog=HERE_EPILOG)(here)
app.command("mcp", epilog=MCP_EPILOG)(mcp)


@app.callback(invoke_without_command=True)
def front(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and the catalog's revision.")
    ] = False,
) -> None:
    """Does a language model fit an accelerator, how fast, with how much context, and what limits it.

    Without a command: the best models for this machine, as `fitgraph here` lists them.
    """
    if show_version:
        from importlib.metadata import version

        from db.entries.files import load_catalog

        typer.echo(f"fitgraph {version('fitgraph')}, catalog {load_catalog().revision}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        here()


@app.command(epilog="Example: `fitgraph up --port 8080`")
def up(
    port: Annotated[int | None, typer.Option(help="Port of the API; default FITGRAPH_PORT.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; default FITGRAPH_WORKERS.")] = None,
) -> None:
    """Start everything on this machine: database, bundled Redis-compatible server, workers, precompute, API."""
    from api.cli.launch import launch

    raise typer.Exit(launch(port=port, workers=workers))


@app.command(epilog="Example: `FITGRAPH_DATABASE_URL=postgresql+psycopg://... fitgraph serve`")
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default FITGRAPH_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; default FITGRAPH_PORT.")] = None,
) -> None:
    """Serve the GraphQL API and the pages; workers and the precompute run elsewhere."""
    from api.cli.launch import serve_api

    serve_api(host=host, port=port)


@app.command(epilog="Example: `fitgraph worker --concurrency 4`")
def worker(
    concurrency: Annotated[int | None, typer.Option(help="Child processes; default FITGRAPH_WORKERS.")] = None,
) -> None:
    """Run one Celery worker that computes blocks of fits until it is stopped."""
    from workers.local.supervisor import run_worker

    raise typer.Exit(run_worker(concurrency=concurrency))


@app.command(epilog="Examples: `fitgraph recompute --dry-run`, `fitgraph recompute --all`")
def recompute(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Recompute every block, changed or not.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the run to be published.")] = True,
) -> None:
    """Read the catalog files into the database and recompute what changed."""
    from api.cli.operate import recompute_command

    raise typer.Exit(recompute_command(dry_run=dry_run, everything=everything, wait=wait))


@app.command(epilog="Example: `fitgraph runs --first 5`")
def runs(first: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=1000)] = 10) -> None:
    """Show the history of runs: cause, duration, cells and faults."""
    from api.cli.operate import runs_command

    raise typer.Exit(runs_command(first))


@app.command(epilog="Example: `fitgraph backup /backups/fitgraph-2026-11-29.db --without-fits`")
def backup(
    file: Annotated[Path, typer.Argument(help="New file that becomes the backup.")],
    without_fits: Annotated[
        bool, typer.Option("--without-fits", help="Leave out the fits: a recompute makes them again.")
    ] = False,
) -> None:
    """Copy the database into one file while it is served, and compare the copy row for row."""
    from api.cli.backup import backup_command

    raise typer.Exit(backup_command(file, fits=not without_fits))


@app.command(epilog="Example: `FITGRAPH_DATABASE_URL=postgresql+psycopg://... fitgraph restore fitgraph-2026-11-29.db`")
def restore(file: Annotated[Path, typer.Argument(help="File that `fitgraph backup` wrote.")]) -> None:
    """Fill an empty database, SQLite or PostgreSQL, from a backup, and compare it row for row."""
    from api.cli.backup import restore_command

    raise typer.Exit(restore_command(file))


@app.command(epilog="Example: `fitgraph cancel 12`")
def cancel(run: Annotated[int, typer.Argument(help="Number of the run, as `fitgraph runs` shows it.", min=1)]) -> None:
    """Stop a run; it publishes nothing."""
    from api.cli.operate import cancel_command

    raise typer.Exit(cancel_command(run))


@app.command(
    epilog="Examples: `fitgraph estimate 'Kimi Linear 48B A3B' 'V100 32GB' --quant Q4_K_M`, "
    "`fitgraph estimate 'Qwen3 32B' 'RTX 3090' --also 'RTX 4060 Ti 16GB'`, "
    "`fitgraph estimate 'Llama 3.3 70B' 'RTX 3090' --count 2 --context 32000 --kv-cache Q8_0`, "
    "`fitgraph estimate 'Qwen3 32B' 'H100 SXM' --quant FP8 --set max_num_seqs=64 --set gpu_memory_utilization=0.95`, "
    "`fitgraph estimate ./config.json 'RTX 3090' --index ./model.safetensors.index.json`, "
    "`fitgraph estimate --batch questions.jsonl > answers.jsonl`"
)
def estimate(
    model: Annotated[
        str | None, typer.Argument(help="Model: slug, name or alias, or a config.json or GGUF file.")
    ] = None,
    gpu: Annotated[str | None, typer.Argument(help="Accelerator: slug, name or alias.")] = None,
    quant: Annotated[str | None, typer.Option(help="Quantization; default: the best one for the workload.")] = None,
    workload: Annotated[str, WORKLOAD] = "coding",
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object.")] = False,
    count: Annotated[int | None, typer.Option(help="How many of GPU.")] = None,
    also: Annotated[
        list[str] | None, typer.Option(help="One more accelerator beside GPU, equal or not; may be repeated.")
    ] = None,
    context: Annotated[int | None, typer.Option(help="Tokens of context; default: the workload's.")] = None,
    kv_cache: Annotated[str | None, typer.Option(help="Type of the KV cache, as Q8_0; default: F16.")] = None,
    streams: Annotated[int | None, typer.Option(help="Users that are answered at once.")] = None,
    host: Annotated[str | None, typer.Option(help="The computer around it, by slug or alias.")] = None,
    host_memory_gb: Annotated[float | None, typer.Option(help="System memory, GiB.")] = None,
    host_bandwidth_gbps: Annotated[float | None, typer.Option(help="Bandwidth of system memory, GB/s.")] = None,
    draft: Annotated[str | None, typer.Option(help="Draft model, or mtp: heads of the model itself.")] = None,
    draft_quant: Annotated[str | None, typer.Option(help="Quantization of the draft model.")] = None,
    draft_tokens: Annotated[int | None, typer.Option(help="Tokens drafted before each check.")] = None,
    acceptance: Annotated[float | None, typer.Option(help="Share of drafted tokens that are accepted, 0 to 1.")] = None,
    vision: Annotated[bool, typer.Option("--vision", help="Count the model's vision projector.")] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Any other key of a question: KEY=VALUE.")] = None,
    index: Annotated[
        Path | None,
        typer.Option(help="The checkpoint's model.safetensors.index.json or only file: it has these bytes."),
    ] = None,
    batch: Annotated[
        Path | None, typer.Option(help="Read questions as JSON Lines from a file, or - for standard input.")
    ] = None,
) -> None:
    """Estimate from the catalog files alone: no database, no server."""
    from api.cli import estimate
    from api.cli.batch import run_batch

    if batch is not None:
        if model is not None or gpu is not None:
            raise typer.BadParameter("--batch reads model and gpu from its lines; give no MODEL and GPU beside it")
        raise typer.Exit(run_batch(batch, sys.stdout.buffer))
    if model is None or gpu is None:
        raise typer.BadParameter("give MODEL and GPU, or --batch FILE")
    extra: dict[str, object] = {
        "gpu_count": count,
        "context_tokens": context,
        "kv_cache_type": kv_cache,
        "batch": streams,
        "host": host,
        "host_memory_gb": host_memory_gb,
        "host_bandwidth_gbps": host_bandwidth_gbps,
        "vision": vision or None,
        "model_index": index,
        "draft": estimate.draft_of(draft, draft_quant, draft_tokens, acceptance),
        "gpus": estimate.gpus_of(gpu, also, count),
        **estimate.settings_of(settings),
    }
    extra = {key: value for key, value in extra.items() if value is not None}
    if extra:
        raise typer.Exit(estimate.run_extras(model, gpu, quant, workload, extra, as_json=as_json))
    raise typer.Exit(estimate.run_one(model, gpu, quant, workload, as_json=as_json))


@app.command("gguf-header", epilog="Example: `fitgraph gguf-header ./model-Q4_K_M.gguf`")
def gguf_header(file: Annotated[Path, typer.Argument(help="A local GGUF file.")]) -> None:
    """Print the header of a GGUF file without its tokenizer, in base64: what `model: {gguf}` takes."""
    from api.cli import estimate

    raise typer.Exit(estimate.print_header(file))


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Create the database or bring its tables to the newest shape."""
    from api.cli.operate import upgrade_command

    raise typer.Exit(upgrade_command())


@db_app.command("status")
def db_status() -> None:
    """Show revision, generation, counts and size of the database."""
    from api.cli.operate import status_command

    raise typer.Exit(status_command())


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from api.graphql.schema import schema as graphql_schema

    typer.echo(graphql_schema.as_str())


@app.command(
    "schema-diff", epilog="Example: `fitgraph schema-diff docs/reference/schema.released.graphql schema.graphql`"
)
def schema_diff(
    old: Annotated[Path, typer.Argument(help="Schema that clients were built against.")],
    new: Annotated[Path, typer.Argument(help="Schema to compare with it.")],
    verbose: Annotated[bool, typer.Option("--verbose", help="List safe additions, too.")] = False,
) -> None:
    """Classify a change of the schema: breaking, announced, dangerous or safe. Exit code 1: it breaks clients."""
    from api.cli.schema_changes import schema_diff_command

    raise typer.Exit(schema_diff_command(old, new, verbose=verbose))


@app.command(epilog="Example: `fitgraph settings > docs/reference/settings.md`")
def settings() -> None:
    """Print every setting, its default and what it does."""
    from api.settings import settings_markdown

    typer.echo(settings_markdown(), nl=False)


@app.command(epilog="Example: `fitgraph calibrate --check`")
def calibrate(
    check: Annotated[bool, typer.Option("--check", help="Fail when the constants are not reproduced.")] = False,
    streams: Annotated[bool, typer.Option("--streams", help="Fit several streams at once alone.")] = False,
) -> None:
    """Fit the open constants of the estimator on the measurements, and those of the judgement; write the data files."""
    from api.cli.calibrate import calibrate_command
    from api.cli.judgement import calibrate_judgement

    judged = 0 if streams else calibrate_judgement(check=check)
    raise typer.Exit(max(calibrate_command(check=check, only_streams=streams), judged))


@app.command(epilog="Example: `fitgraph validate --output docs/validation.md`")
def validate(
    output: Annotated[Path | None, typer.Option(help="Where the report on speeds goes; the rest beside it.")] = None,
    judgement: Annotated[bool, typer.Option("--judgement", help="Write only the report on the judgement.")] = False,
) -> None:
    """Write two reports: estimates beside every measured row and peers' formulas, and how good the choices are."""
    from api.cli.validate import validate_command

    raise typer.Exit(validate_command(output, judgement_only=judgement))


def main() -> None:
    """Entry point of the console script. A reader that closes the pipe, as `head` does, ends it quietly."""
    try:
        app()
    except Exception as error:
        from db.outages import is_outage

        if not is_outage(error):
            raise
        sys.exit(f"fitgraph: the database failed: {str(getattr(error, 'orig', error)).splitlines()[0]}")
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
