"""A setup as a server: users against speed and first token, the engines to choose from, the cost of tokens."""

from __future__ import annotations

from typing import Annotated

import strawberry

from api.answers.searches import search
from api.answers.story import PlanAnswers
from api.errors import bad_input
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.quants import Quant
from estimator.judgement.serving.cost import System, cost_of
from estimator.judgement.serving.curve import Serving
from estimator.judgement.serving.queueing import MAX_PEOPLE, Load

#: Most points of one request.
MAX_POINTS = 50


@strawberry.type(description="Cost of a million tokens of answers, US dollars; null for what is unknown.")
class ServingCost:
    purchase_usd: float | None = strawberry.field(
        description="Purchase of the computer over its hours of use, US dollars."
    )
    energy_usd: float | None = strawberry.field(description="Energy while it works, US dollars.")
    total_usd: float | None = strawberry.field(description="Both together, US dollars; null when one is unknown.")


@strawberry.type(
    description="A server with so many people in front of it, who think, ask and read. Figures are means over requests; "
    "`busy` ones hold for nine of ten requests or are better."
)
class ServingPoint:
    people: int = strawberry.field(description="People.")
    active_streams: float = strawberry.field(description="Requests present on average, waiting ones included.")
    busy_active_streams: int = strawberry.field(description="Requests present in a busy moment.")
    tokens_per_second: float = strawberry.field(
        description="Speed of an answer that one person sees, tokens per second."
    )
    busy_tokens_per_second: float = strawberry.field(description="The same in a busy moment, tokens per second.")
    ttft_ms: float = strawberry.field(
        description="Time to the first token, milliseconds; waiting for a place included."
    )
    busy_ttft_ms: float = strawberry.field(description="The same in a busy moment, milliseconds.")
    tokens_per_second_total: float = strawberry.field(description="Answer tokens of all people, tokens per second.")
    working_share: float = strawberry.field(description="Share of the time in which anybody is answered, 0 to 1.")
    load: strawberry.Private[Load]
    design_power_w: strawberry.Private[float | None]

    @strawberry.field(description="Cost of a million tokens of answers under this load.")
    def cost(
        self,
        electricity_usd_per_kwh: Annotated[
            float, strawberry.argument(description="Price of electricity, US dollars per kWh, 0 to 10.")
        ],
        system_price_usd: Annotated[
            float | None,
            strawberry.argument(description="Price of the whole computer, US dollars; unknown when left out."),
        ] = None,
        system_power_watts: Annotated[
            float | None,
            strawberry.argument(
                description="Power of the whole computer at work, watts; the design power of the accelerators when left out."
            ),
        ] = None,
        years: Annotated[
            float, strawberry.argument(description="Years over which the purchase is spread, 0.1 to 20.")
        ] = 3.0,
        utilisation: Annotated[
            float,
            strawberry.argument(description="Share of all hours in which the people are there, 0.001 to 1."),
        ] = 1.0,
    ) -> ServingCost | None:
        _within("electricityUsdPerKwh", electricity_usd_per_kwh, 0, 10)
        _within("systemPriceUsd", system_price_usd, 0, 1e9)
        _within("systemPowerWatts", system_power_watts, 0, 1e7)
        _within("years", years, 0.1, 20)
        _within("utilisation", utilisation, 0.001, 1)
        power = self.design_power_w if system_power_watts is None else system_power_watts
        cost = cost_of(self.load, System(system_price_usd, power, electricity_usd_per_kwh, years, utilisation))
        return ServingCost(purchase_usd=cost.purchase_usd, energy_usd=cost.energy_usd, total_usd=cost.total_usd)


def _within(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise bad_input(f"{name} must be {least:g} to {most:g}, not {value:g}.", field=name)


@strawberry.type(description="One engine as a server of a model, in the quantization that serves most people.")
class ServingEngine:
    engine: Engine = strawberry.field(description="The engine.")
    quant: Quant = strawberry.field(description="The quantization; it loses at most 2 points of capability.")
    people: int = strawberry.field(description="People served.")
    streams: int = strawberry.field(description="Streams at once at the comfortable speed.")
    most_streams: int = strawberry.field(description="Streams that the memory holds.")
    tokens_per_second_total: float = strawberry.field(description="Decode speed of `streams`, tokens per second.")


@strawberry.type(
    description="A setup as a server. People think between requests, so that many more are served than are answered at once. "
    "On an engine that pages, the KV cache holds the contexts that are expected of the active streams, on others the whole "
    "context of each."
)
class FitServing:
    people: int = strawberry.field(
        description="Most people of whom each has the workload's comfortable speed and its first token in time, in busy "
        "moments, too; 0 when not even one has."
    )
    streams: int = strawberry.field(
        description="Most streams at once at the comfortable speed while no prompt is read; 0 when not even one is."
    )
    most_streams: int = strawberry.field(description="Streams at once that the memory holds.")
    tokens_per_second_each: float = strawberry.field(
        description="Decode speed of each of `streams`, or of one, tokens per second."
    )
    tokens_per_second_total: float = strawberry.field(
        description="Decode speed of all `streams` together, or of one, tokens per second."
    )
    joules_per_token: float | None = strawberry.field(
        description="Energy of a token with all `streams` busy at the accelerators' design power, joules; null when that is "
        "unknown."
    )
    serving: strawberry.Private[Serving]
    answers: strawberry.Private[PlanAnswers]
    faces: strawberry.Private[Faces]

    @strawberry.field(description="People against speed and first token, fewest people first.")
    async def points(
        self,
        people: Annotated[
            list[int] | None,
            strawberry.argument(
                description=f"Numbers of people, each 1 to {MAX_PEOPLE:,}, at most {MAX_POINTS}; when left out steps of 1, 2 and "
                "5 up to twice those that are served."
            ),
        ] = None,
    ) -> list[ServingPoint] | None:
        if people is None:
            loads = await search(self.serving.curve)
        else:
            numbers = _numbers(people)
            loads = await search(lambda: tuple(map(self.serving.load, numbers)))
        return [_point(load, self.answers) for load in loads]

    @strawberry.field(
        description="The engines that run the model here, the one that serves most people first; at most 4."
    )
    async def engines(self) -> list[ServingEngine]:
        servers = await search(lambda: self.answers.serving_engines)
        return [
            ServingEngine(
                engine=self.faces.engine_by_kind[server.engine],
                quant=self.faces.by_slug("quant", server.quant.slug),
                people=server.people,
                streams=server.streams,
                most_streams=server.pace.most_streams,
                tokens_per_second_total=server.tok_s_total,
            )
            for server in servers
        ]


def _numbers(people: list[int]) -> list[int]:
    if len(people) > MAX_POINTS:
        raise bad_input(f"people must have at most {MAX_POINTS} numbers, not {len(people)}.", field="people")
    wrong = next((number for number in people if not 1 <= number <= MAX_PEOPLE), None)
    if wrong is not None:
        raise bad_input(f"people must be 1 to {MAX_PEOPLE:,}, not {wrong:,}.", field="people")
    return sorted(set(people))


def _point(load: Load, answers: PlanAnswers) -> ServingPoint:
    return ServingPoint(
        people=load.people,
        active_streams=load.active_streams,
        busy_active_streams=load.busy_active_streams,
        tokens_per_second=load.decode_tok_s,
        busy_tokens_per_second=load.busy_decode_tok_s,
        ttft_ms=load.ttft_s * 1000.0,
        busy_ttft_ms=load.busy_ttft_s * 1000.0,
        tokens_per_second_total=load.total_tok_s,
        working_share=load.working_share,
        load=load,
        design_power_w=answers.facts.design_power_w,
    )


def serving_of(answers: PlanAnswers, faces: Faces) -> FitServing | None:
    """The setup as a server; None when not even one stream is whole on the device."""
    serving, power_w = answers.serving, answers.facts.design_power_w
    if serving is None:
        return None
    return FitServing(
        people=serving.people,
        streams=serving.streams,
        most_streams=serving.pace.most_streams,
        tokens_per_second_each=serving.tok_s_each,
        tokens_per_second_total=serving.tok_s_total,
        joules_per_token=None if power_w is None else power_w / serving.tok_s_total,
        serving=serving,
        answers=answers,
        faces=faces,
    )
