"""The commands that choose, with their options: recommend, serving and buy."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.choices.options import KINDS, MODE, VENDORS, WORKLOAD, one_of

choices_app = typer.Typer()


@choices_app.command(
    epilog="Examples: `fitgraph recommend --gpu 'RTX 4090' --workload coding`, "
    "`fitgraph recommend --gpu 'RTX 3090' --count 2 --host-memory-gb 128 --json`, "
    "`fitgraph recommend --model 'Qwen3 32B' --budget-usd 2500 --min-tok-s 20`"
)
def recommend(
    gpu: Annotated[list[str] | None, typer.Option(help="Accelerator of the machine; may be repeated.")] = None,
    model: Annotated[str | None, typer.Option(help="Instead of a machine: the model to find machines for.")] = None,
    count: Annotated[int, typer.Option(help="How many of each accelerator.", min=1, max=16)] = 1,
    host: Annotated[str | None, typer.Option(help="The computer around it, by slug or alias.")] = None,
    host_memory_gb: Annotated[float | None, typer.Option(help="System memory, GiB.", min=0.5, max=65_536)] = None,
    workload: Annotated[str, WORKLOAD] = "coding",
    mode: Annotated[str, MODE] = "balanced",
    users: Annotated[int | None, typer.Option(help="People answered at once.", min=1, max=1024)] = None,
    family: Annotated[str | None, typer.Option(help="Only models of this family.")] = None,
    license: Annotated[str | None, typer.Option(help="Only models of this licence.")] = None,
    kind: Annotated[str | None, one_of(KINDS, "Only models of a kind: {}.")] = None,
    released_from: Annotated[str | None, typer.Option(help="Only models from this month on, as 2025-06.")] = None,
    budget_usd: Annotated[float | None, typer.Option(help="With --model: most that may be paid.", min=1)] = None,
    min_tok_s: Annotated[float | None, typer.Option(help="With --model: least decode speed.", min=0.1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    number: Annotated[int, typer.Option("-n", help="Most entries.", min=1, max=1000)] = 10,
) -> None:
    """Recommend models for a machine, or machines for a model, from the catalog files alone."""
    if bool(gpu) == (model is not None):
        raise typer.BadParameter("name the machine's accelerator with --gpu, or a model with --model")
    if model is not None:
        from api.cli.choices.machines import Asked, machines_command

        needs = Asked(model, workload, mode, budget_usd, min_tok_s, users)
        raise typer.Exit(machines_command(needs, number, as_json=as_json))
    from api.cli.choices import recommend

    machine = gpu or (), count, host, host_memory_gb
    asked = recommend.Asked(*machine, workload, mode, users, family, license, kind, released_from)
    raise typer.Exit(recommend.recommend_command(asked, number, as_json=as_json))


@choices_app.command(
    epilog="Examples: `fitgraph serving 'Llama 3.1 8B' 'H100' --workload chat`, "
    "`fitgraph serving 'Qwen3 32B' 'RTX 5090' --count 2 --system-price-usd 7000 --electricity-usd-per-kwh 0.3`"
)
def serving(
    model: Annotated[str, typer.Argument(help="Model: slug, name or alias, or a config.json or GGUF file.")],
    gpu: Annotated[str, typer.Argument(help="Accelerator: slug, name or alias.")],
    quant: Annotated[str | None, typer.Option(help="Quantization; default: that which serves most people.")] = None,
    count: Annotated[int, typer.Option(help="How many of GPU.", min=1, max=16)] = 1,
    workload: Annotated[str, WORKLOAD] = "chat",
    people: Annotated[list[int] | None, typer.Option(help="People of a point; may be repeated.", min=1)] = None,
    system_price_usd: Annotated[float | None, typer.Option(help="Price of the computer, US dollars.", min=0)] = None,
    system_power_w: Annotated[
        float | None, typer.Option(help="Power of the computer at work, watts; default: design power of GPU.", min=0)
    ] = None,
    electricity_usd_per_kwh: Annotated[float, typer.Option(help="Price of electricity.", min=0, max=10)] = 0.15,
    years: Annotated[float, typer.Option(help="Years over which the price is spread.", min=0.1, max=20)] = 3.0,
    utilisation: Annotated[float, typer.Option(help="Share of hours with people there.", min=0.001, max=1)] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell how many people a setup serves: users against speed, first token and cost, and the best engine."""
    from api.cli.choices.serving import Question, serving_command
    from estimator.judgement.serving.cost import System

    system = System(system_price_usd, system_power_w, electricity_usd_per_kwh, years, utilisation)
    question = Question(model, gpu, quant, count, workload, tuple(people or ()), system)
    raise typer.Exit(serving_command(question, as_json=as_json))


@choices_app.command(
    epilog="Examples: `fitgraph buy 'Qwen3 32B' --users 20`, "
    "`fitgraph buy --kind mixture-of-experts --budget-usd 2500 --min-tok-s 20`, "
    "`fitgraph buy 'gpt-oss 120B' --vendor apple`, `fitgraph buy --gpu 'H100 PCIe' --hours-a-month 100`"
)
def buy(
    models: Annotated[list[str] | None, typer.Argument(help="Models, any of which will do; default: the best.")] = None,
    kind: Annotated[str | None, one_of(KINDS, "With no model named, the best of a kind: {}.")] = None,
    gpu: Annotated[str | None, typer.Option(help="Instead of a model: this accelerator, bought or rented.")] = None,
    workload: Annotated[str, WORKLOAD] = "coding",
    budget_usd: Annotated[float | None, typer.Option(help="Most that may be paid, US dollars.", min=1)] = None,
    min_tok_s: Annotated[
        float | None, typer.Option(help="Least decode speed; default: the workload's.", min=0.1)
    ] = None,
    max_ttft_ms: Annotated[float | None, typer.Option(help="Longest wait; default: the workload's.", min=1)] = None,
    max_loss: Annotated[float | None, typer.Option(help="Points that the quantization may cost.", min=0.01)] = None,
    context: Annotated[int | None, typer.Option(help="Tokens of context; default: the workload's.", min=1)] = None,
    users: Annotated[int | None, typer.Option(help="People who think, ask and read.", min=1, max=1024)] = None,
    cards: Annotated[
        int | None, typer.Option(help="Most cards in a computer; default 2, 0: small whole computers.", min=0, max=8)
    ] = None,
    computer: Annotated[str | None, typer.Option(help="Computer that you have and that takes the cards.")] = None,
    vendor: Annotated[list[str] | None, one_of(VENDORS, "Maker of the accelerator: {}; may be repeated.")] = None,
    new_only: Annotated[bool, typer.Option("--new-only", help="Leave used hardware out.")] = False,
    region: Annotated[str, typer.Option(help="Region whose prices are preferred.")] = "US",
    hours_a_month: Annotated[float | None, typer.Option(help="Hours of use, to compare with rent.", min=0.1)] = None,
    electricity_usd_per_kwh: Annotated[float | None, typer.Option(help="Price of electricity.", min=0)] = None,
    number: Annotated[int, typer.Option("-n", help="How many of each list.", min=1, max=1000)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object.")] = False,
) -> None:
    """Choose what to buy or rent, with dated prices; from the catalog files alone."""
    from api.cli.choices.buy import Asked, buy_command

    asked = Asked(
        models or (), kind, gpu, workload, budget_usd, min_tok_s, max_ttft_ms, max_loss, context, users, cards, computer,
        vendor or (), new_only, region, hours_a_month, electricity_usd_per_kwh,
    )  # fmt: skip
    raise typer.Exit(buy_command(asked, number, as_json=as_json))
