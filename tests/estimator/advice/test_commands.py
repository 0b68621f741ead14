"""Commands say what the plan says, use only recorded flags, and are none where nothing runs."""

from __future__ import annotations

import json
import random
import shlex
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from api.answers.questions import Answerer
from db.entries import specs
from db.entries.specs import checkpoint_repository
from estimator.advice.command import Command, CommandGap, Tool
from estimator.advice.commands import commands, missing_commands
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.fit_facts import FitFacts, request_of
from estimator.server_options import SplitMode
from estimator.structure.checkpoints import is_repository
from estimator.types import CacheType, Engine, EstimatorError, QuantFormat, Status, Strategy
from tests.support.catalogs import CATALOG

RECORDED = json.loads((Path(__file__).parents[2] / "data" / "engine_flags.json").read_text())
CALIBRATION = Calibration.load()


@cache
def facts(model: str, gpu: str, quant: str, workload: str = "coding") -> FitFacts:
    entry = CATALOG.models[model]
    host = specs.host(CATALOG.hosts[CATALOG.default_host])
    request = request_of(specs.quant(CATALOG.quants[quant]), specs.accelerator(CATALOG.gpus[gpu]), host)
    architecture, use = specs.architecture(entry), specs.workload(CATALOG.workloads[workload])
    answer = estimate(architecture, request, CALIBRATION, use)
    return FitFacts(
        architecture, entry["name"], request, answer, use, entry["hf_repo"], entry["gguf_repo"], entry["ollama_tag"]
    )


def changed(fit: FitFacts, **changes: object) -> FitFacts:
    request = replace(fit.request, **changes)  # type: ignore[arg-type]
    return replace(fit, request=request, estimate=estimate(fit.model, request, CALIBRATION, fit.workload))


def words(text: str) -> list[list[str]]:
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if not line.startswith("#")]


def flags_of(command: Command, flag: str) -> str | None:
    for line in words(command.text):
        if flag in line:
            return line[line.index(flag) + 1]
    return None


def check_recorded(command: Command) -> None:
    for line in words(command.text):
        program, rest = line[0], line[1:]
        if program == "printf":
            parts = rest[0].replace("\\n", "\n").split()
            assert all(
                parts[i + 1] in RECORDED["ollama"]["parameters"] for i, p in enumerate(parts) if p == "PARAMETER"
            )
            continue
        recorded = RECORDED[program]
        image = None
        if program == "docker":
            image = next(word for word in rest if word in recorded["images"])
            inner = rest[rest.index(image) + 1 :]
            rest = rest[: rest.index(image)]
            check_flags("vllm" if image.startswith("vllm") else "llama-server", inner)
        check_flags(program, rest)


def check_flags(program: str, rest: list[str]) -> None:
    recorded = RECORDED[program]
    for index, word in enumerate(rest):
        if word.startswith("-"):
            assert word.split("=")[0] in recorded["flags"], (program, word)
            allowed = recorded.get("values", {}).get(word)
            assert allowed is None or rest[index + 1] in allowed, (program, word, rest[index + 1])


def gaps_of(fit: FitFacts) -> dict[Tool | None, CommandGap]:
    return {command.tool: command.gap for command in missing_commands(fit)}


def test_everything_on_the_card_says_all_layers() -> None:
    fit = facts("qwen3-30b-a3b", "rtx-3090", "q4-k-m")
    assert fit.estimate.placement.strategy is Strategy.ALL_GPU
    server = commands(fit)[0]
    assert server.tool is Tool.LLAMA_SERVER
    assert flags_of(server, "-ngl") == str(fit.model.n_layers + 1)
    assert "--n-cpu-moe" not in server.text
    assert flags_of(server, "-hf") == f"{CATALOG.models['qwen3-30b-a3b']['gguf_repo']}:Q4_K_M"


def test_expert_offload_gives_its_count_and_no_engine_without_the_flag() -> None:
    fit = facts("qwen3-30b-a3b", "rtx-4060", "q4-k-m", "agentic-coding")
    assert fit.estimate.placement.strategy is Strategy.EXPERT_OFFLOAD
    listed = commands(fit)
    assert {command.tool for command in listed} == {Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER}
    assert flags_of(listed[0], "--n-cpu-moe") == str(fit.estimate.placement.cpu_moe_layers)


def test_layer_offload_names_the_layers_for_every_engine() -> None:
    fit = facts("llama-3.3-70b", "rtx-4090", "q4-k-m")
    assert fit.estimate.placement.strategy is Strategy.LAYER_OFFLOAD
    by_tool = {command.tool: command for command in commands(fit)}
    layers = fit.estimate.placement.gpu_layers
    assert flags_of(by_tool[Tool.LLAMA_SERVER], "-ngl") == str(layers)
    assert f"PARAMETER num_gpu {layers}" in by_tool[Tool.OLLAMA].text
    assert float(flags_of(by_tool[Tool.LM_STUDIO], "--gpu") or 2) <= layers / (fit.model.n_layers + 1)


def test_llama_cpp_takes_sixteen_accelerators_at_most() -> None:
    fit = facts("llama-3.1-8b", "rtx-3090", "q4-k-m")
    assert commands(changed(fit, gpu_count=16))
    many = changed(fit, gpu_count=17)
    assert commands(many) == ()
    assert set(gaps_of(many).values()) == {CommandGap.ACCELERATORS}


def test_a_file_that_nobody_published_is_said_to_be_ones_own() -> None:
    fit = facts("llama-3.1-8b", "rtx-4090", "q4-k-m")
    published, own = commands(fit), commands(replace(fit, gguf_repository=None))
    assert not any("YOUR-FILE" in command.text for command in published)
    assert {command.tool for command in own} == {Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER}
    for command in own:
        note, *lines = command.text.splitlines()
        assert note.startswith("# no published GGUF file is recorded here: ./models/YOUR-FILE-llama-3.1-8b-Q4_K_M.gguf")
        assert "models/YOUR-FILE-llama-3.1-8b-Q4_K_M.gguf" in " ".join(lines)
        check_recorded(command)
    assert "-v ./models:/models" in own[1].text


@pytest.mark.parametrize(
    ("cache", "tools"),
    [
        (CacheType.Q8_0, {Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER, Tool.OLLAMA}),
        (CacheType.Q5_1, {Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER}),
    ],
)
def test_a_quantized_cache_is_in_the_command_or_there_is_none(cache: CacheType, tools: set[Tool]) -> None:
    fit = changed(facts("qwen3-8b", "rtx-3090", "q4-k-m"), kv_cache_type=cache)
    listed = commands(fit)
    assert {command.tool for command in listed} == tools
    assert all(cache.value in command.text for command in listed)


def test_several_streams_and_cards() -> None:
    fit = changed(facts("qwen3-8b", "rtx-3090", "q4-k-m"), batch=4, gpu_count=2)
    server = commands(fit)[0]
    assert flags_of(server, "-np") == "4"
    assert flags_of(server, "-c") == str(4 * fit.estimate.context_tokens)
    assert flags_of(server, "-sm") == "layer"


def test_tools_that_cannot_be_told_to_cut_matrices_have_no_command() -> None:
    fit = changed(facts("qwen3-8b", "rtx-3090", "q4-k-m"), gpu_count=2, split_mode=SplitMode.TENSOR)
    assert {command.tool for command in commands(fit)} == {Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER}
    for command in commands(fit):
        check_recorded(command)
        assert flags_of(command, "-sm") == "tensor"
        assert flags_of(command, "-fit") == "off"
    assert gaps_of(fit)[Tool.OLLAMA] is CommandGap.PLACEMENT


def test_vllm_and_mlx() -> None:
    served = commands(facts("qwen3-8b", "h100-sxm5-80-gb", "bf16-safetensors"))
    assert {command.engine for command in served} == {Engine.VLLM}
    assert flags_of(served[0], "--max-model-len") == "16000"
    apple = commands(facts("qwen3-8b", "apple-m3-max-40c-128gb", "mlx-4bit"))
    assert [command.tool for command in apple] == [Tool.MLX]
    assert flags_of(apple[0], "--q-bits") == "4"


def test_a_checkpoint_format_needs_a_repository_that_publishes_it() -> None:
    unknown = facts("llama-3.1-8b", "rtx-4090", "awq-int4")
    assert unknown.runs
    assert commands(unknown) == ()
    entry = CATALOG.models["qwen3.6-27b"]
    known = replace(
        facts("qwen3.6-27b", "rtx-5090", "nvfp4"), checkpoint_repository=checkpoint_repository(entry, "nvfp4")
    )
    assert all("nvidia/Qwen3.6-27B-NVFP4" in command.text for command in commands(known))
    assert {command.tool for command in commands(known)} == {Tool.VLLM, Tool.VLLM_DOCKER}
    assert checkpoint_repository(entry, "exl3-4bpw") is None
    # The repository of this one holds FP8 weights: served as they are, and never as if they were unquantized.
    native = facts("deepseek-v3", "h200-sxm-141-gb", "fp8")
    assert native.model.native_dtype == "FP8"
    served = commands(changed(native, gpu_count=8))
    assert [flags_of(command, "--quantization") for command in served] == [None, None]
    assert commands(changed(facts("deepseek-v3", "b300", "bf16-safetensors"), gpu_count=8)) == ()
    made = facts("qwen3-8b", "h100-sxm5-80-gb", "fp8")
    assert flags_of(commands(made)[0], "--quantization") == "fp8"


def test_every_checkpoint_repository_is_of_a_checkpoint_format() -> None:
    listed = 0
    for entry in CATALOG.models.values():
        for slug, stated in (entry.get("checkpoint_repos") or {}).items():
            assert CATALOG.quants[slug]["format"] not in ("gguf", "safetensors")
            assert is_repository(stated["repo"])
            listed += 1
    assert listed > 600


def test_a_published_copy_for_mlx_is_served_as_it_is() -> None:
    entry = CATALOG.models["qwen3-8b"]
    bare = facts("qwen3-8b", "apple-m4-max-40c-48gb", "mlx-4bit")
    (made,) = commands(replace(bare, checkpoint_repository=None))
    assert made.text.startswith(f"mlx_lm.convert --hf-path {entry['hf_repo']}")
    (served,) = commands(replace(bare, checkpoint_repository="mlx-community/Qwen3-8B-4bit"))
    assert served.text == "mlx_lm.server --model mlx-community/Qwen3-8B-4bit --port 8080"


def test_nothing_runs_so_there_is_no_command() -> None:
    fit = facts("deepseek-r1", "rtx-4090", "q8-0", "chat")
    assert fit.estimate.status is Status.DOES_NOT_FIT
    assert commands(fit) == ()


@pytest.mark.parametrize("name", ["a/b; rm -rf /", "a/$(id)", "a", "/b", "a/../b", "a/b\nc", "-a/b", "a/b c", None])
def test_only_well_formed_repositories_reach_a_command(name: str | None) -> None:
    assert not is_repository(name)
    fit = replace(facts("qwen3-8b", "rtx-3090", "q4-k-m"), gguf_repository=name, hf_repository=name)
    assert not any(word in command.text for command in commands(fit) for word in ("-hf", "hf.co", "huggingface.co"))


def plan(**question: object) -> FitFacts:
    answered = Answerer(CATALOG, CALIBRATION).answer(question).facts
    assert answered is not None
    return answered


def test_mixed_cards_get_their_layers_and_only_the_engine_that_can() -> None:
    fit = plan(model="llama-3.3-70b", gpus=["rtx-4090", "rtx-3060", "rtx-3060"], quant="q3-k-m", workload="CHAT")
    assert fit.runs
    listed = commands(fit)
    assert {command.tool for command in listed} == {Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER}
    layers = [load.layers for load in fit.devices]
    assert layers[0] > layers[1]
    assert sum(layers) == fit.estimate.placement.gpu_layers
    for command in listed:
        check_recorded(command)
        assert flags_of(command, "-ts") == ",".join(map(str, layers))
        assert "RTX 4090" in command.text.splitlines()[0]
    equal = plan(model="llama-3.3-70b", gpus=["rtx-3090", "rtx-3090"], quant="q4-k-m", workload="CHAT")
    assert not any(line.startswith("# layers") for command in commands(equal) for line in command.text.splitlines())
    assert flags_of(commands(equal)[0], "-sm") == "layer"


def test_a_draft_model_is_in_the_command_or_there_is_none() -> None:
    draft = {"model": "qwen3-0.6b", "quant": "q8-0", "tokens": 5, "acceptance_rate": 0.7}
    fit = plan(model="qwen3-32b", gpus=["rtx-3090", "rtx-3090"], quant="q4-k-m", draft=draft)
    listed = commands(fit)
    assert {command.tool for command in listed} == {Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER}
    for command in listed:
        check_recorded(command)
        assert flags_of(command, "-hfd") == f"{CATALOG.models['qwen3-0.6b']['gguf_repo']}:Q8_0"
        assert flags_of(command, "--spec-draft-n-max") == "5"
        assert flags_of(command, "-devd") == "CUDA0"
        # llama.cpp shares the layers before it loads the draft: the plan leaves room for it.
        assert flags_of(command, "-ts") == ",".join(str(load.layers) for load in fit.devices)
    alone = commands(plan(model="qwen3-8b", gpu="rtx-3090", quant="q4-k-m", draft=draft))
    assert all("-devd" not in command.text for command in alone)
    checkpoint = draft | {"quant": "bf16-safetensors"}
    served = commands(plan(model="qwen3-8b", gpu="h100-sxm5-80-gb", quant="bf16-safetensors", draft=checkpoint))
    assert {command.tool for command in served} == {Tool.VLLM, Tool.VLLM_DOCKER}
    for command in served:
        check_recorded(command)
        settings = json.loads(flags_of(command, "--speculative-config") or "")
        assert settings == {"method": "draft_model", "model": "Qwen/Qwen3-0.6B", "num_speculative_tokens": 5}
    apple = plan(model="qwen3-8b", gpu="apple-m3-max-40c-128gb", quant="mlx-4bit", draft=draft | {"quant": "mlx-4bit"})
    assert apple.runs
    assert commands(apple) == ()
    assert gaps_of(apple) == {Tool.MLX: CommandGap.DRAFT_OR_PROJECTOR}


def test_vllm_has_no_command_for_cards_that_its_heads_do_not_divide_by() -> None:
    for count, heads_divide in ((2, True), (3, False), (4, True)):
        fit = plan(model="qwen3-8b", gpu="h100-sxm5-80-gb", gpu_count=count, quant="bf16-safetensors")
        assert fit.runs
        listed = commands(fit)
        assert bool(listed) == heads_divide
        for command in listed:
            check_recorded(command)
            assert flags_of(command, "--tensor-parallel-size") == str(count)
    # A draft is split as the model is: 14 heads do not go on four cards.
    draft = {"model": "qwen2.5-0.5b-instruct", "quant": "bf16-safetensors", "tokens": 4, "acceptance_rate": 0.6}
    setup = {"model": "qwen2.5-7b-instruct", "gpu": "h100-sxm5-80-gb", "quant": "bf16-safetensors", "draft": draft}
    assert commands(plan(**setup, gpu_count=2))
    assert commands(plan(**setup, gpu_count=4)) == ()
    assert set(gaps_of(plan(**setup, gpu_count=4)).values()) == {CommandGap.HEADS}


def test_the_projector_of_a_repository_is_loaded_only_when_it_is_in_the_plan() -> None:
    text = plan(model="gemma-3-12b", gpu="rtx-3090", quant="q4-k-m")
    images = plan(model="gemma-3-12b", gpu="rtx-3090", quant="q4-k-m", vision=True, projector_bytes=854_200_224)
    assert "--no-mmproj" in commands(text)[0].text
    assert "mmproj" not in commands(images)[0].text
    assert {command.tool for command in commands(images)} == {Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER}
    local = replace(images, gguf_repository=None)
    assert commands(local) == ()
    unnamed = [command for command in missing_commands(local) if command.tool in (Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER)]
    assert [command.gap for command in unnamed] == [CommandGap.DRAFT_OR_PROJECTOR] * 2
    assert all("vision projector of Gemma 3 12B" in command.message for command in unnamed)
    assert "mmproj" not in commands(replace(text, gguf_repository=None))[0].text
    assert "mmproj" not in commands(plan(model="qwen3-8b", gpu="rtx-3090", quant="q4-k-m"))[0].text
    for fit in (text, images):
        for command in commands(fit):
            check_recorded(command)


def test_every_command_of_random_fits_has_recorded_flags_and_agrees_with_its_plan() -> None:
    pick = random.Random(7)
    models = [slug for slug, entry in sorted(CATALOG.models.items()) if not specs.missing_facts(entry)]
    gpus = [slug for slug, entry in sorted(CATALOG.gpus.items()) if not specs.missing_facts(entry)]
    quants = sorted(CATALOG.quants)
    checked, met = 0, set()
    for _ in range(700):
        try:
            fit = facts(
                pick.choice(models), pick.choice(gpus), pick.choice(quants), pick.choice(sorted(CATALOG.workloads))
            )
        except EstimatorError:
            continue
        listed, gaps = commands(fit), gaps_of(fit)
        assert bool(listed) <= fit.runs
        # Each tool has a command or a reason, and never both.
        assert len(gaps) + len(listed) == len({*gaps, *(command.tool for command in listed)})
        assert (set(gaps.values()) == {CommandGap.NOTHING_RUNS}) == (not fit.runs)
        met |= set(gaps.values())
        for command in listed:
            checked += 1
            check_recorded(command)
            assert command.text.isascii()
            if command.tool in (Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER):
                assert flags_of(command, "-ngl") == str(fit.estimate.placement.gpu_layers)
                assert (flags_of(command, "--n-cpu-moe") or "0") == str(fit.estimate.placement.cpu_moe_layers)
                assert flags_of(command, "-c") == str(fit.estimate.context_tokens)
        if fit.runs and fit.quant.format is QuantFormat.GGUF:
            assert listed, (fit.model.slug, fit.accelerator.slug, fit.quant.slug)
    assert checked > 250
    assert met >= {
        CommandGap.NOTHING_RUNS,
        CommandGap.NO_WEIGHTS,
        CommandGap.MODEL,
        CommandGap.PLATFORM,
        CommandGap.PLACEMENT,
    }


def test_a_plan_that_a_tool_cannot_be_told_says_which_part() -> None:
    fit = facts("qwen3-8b", "rtx-4090", "q4-k-m")
    assert gaps_of(fit) == {}
    quantized = gaps_of(changed(fit, kv_cache_type=CacheType.Q8_0))
    assert quantized == {Tool.LM_STUDIO: CommandGap.KV_CACHE_TYPE}
    many = gaps_of(changed(fit, batch=4))
    assert many == {Tool.OLLAMA: CommandGap.STREAMS, Tool.LM_STUDIO: CommandGap.STREAMS}
    for command in missing_commands(changed(fit, batch=4)):
        assert command.tool is not None
        assert command.message == f"{command.tool.value} is started for one stream, not 4."


def test_sglang_serves_the_native_checkpoint_of_gpt_oss() -> None:
    fit = changed(facts("gpt-oss-20b", "h100-sxm5-80-gb", "mxfp4-checkpoint"), engine=Engine.SGLANG)
    (command,) = commands(fit)
    assert (command.engine, command.tool) == (Engine.SGLANG, Tool.SGLANG)
    assert flags_of(command, "--model-path") == "openai/gpt-oss-20b"
    check_recorded(command)
    drafted = changed(fit, gpu_count=3)
    assert gaps_of(drafted) == {Tool.SGLANG: CommandGap.HEADS}


def test_the_fork_is_started_with_its_own_flags_and_a_file_of_ones_own() -> None:
    fit = changed(facts("qwen3-30b-a3b", "rtx-4060", "iq4-ks", "agentic-coding"), kv_cache_type=CacheType.Q8_0)
    assert fit.estimate.engine is Engine.IK_LLAMA_CPP
    (command,) = commands(fit)
    assert command.tool is Tool.IK_LLAMA_SERVER
    assert "YOUR-FILE-qwen3-30b-a3b" in (flags_of(command, "-m") or "")
    assert flags_of(command, "--n-cpu-moe") == str(fit.estimate.placement.cpu_moe_layers)
    for line in words(command.text):
        check_flags("ik_llama.cpp", line[1:])


@pytest.mark.parametrize(
    ("question", "tool", "expected"),
    [
        (
            {
                "gpu": "h100-sxm5-80-gb",
                "quant": "bf16-safetensors",
                "engine": "TensorRT-LLM",
                "gpu_count": 2,
                "max_num_seqs": 8,
            },
            Tool.TENSORRT_LLM,
            {"--tp_size": "2", "--max_batch_size": "8", "--max_seq_len": "16000", "--max_num_tokens": "8192"},
        ),
        (
            {"gpu": "rtx-3090", "quant": "exl3-4bpw", "k_cache_type": "Q8_0", "v_cache_type": "Q4_0", "batch": 2},
            Tool.TABBY_API,
            {"--cache-mode": "8,4", "--max-seq-len": "16000", "--cache-size": "32256", "--max-batch-size": "2"},
        ),
        (
            {"gpu": "rtx-3090", "quant": "exl2-4bpw", "kv_cache_type": "Q4_0"},
            Tool.TABBY_API,
            {"--cache-mode": "Q4"},
        ),
        ({"gpu": "rtx-3090", "quant": "q4-k-m", "engine": "llamafile"}, Tool.LLAMAFILE, {"-c": "16000", "-ngl": "37"}),
        (
            {"gpu": "rtx-3090", "quant": "q4-k-m", "engine": "llamafile", "batch": 2},
            Tool.LLAMAFILE,
            {"-c": "32000", "--parallel": "2"},
        ),
        ({"gpu": "rtx-3090", "quant": "q4-k-m", "engine": "LM Studio"}, Tool.LM_STUDIO, {"--context-length": "16000"}),
    ],
)
def test_every_engine_that_is_asked_for_has_its_command(
    question: dict[str, object], tool: Tool, expected: dict[str, str]
) -> None:
    fit = plan(model="qwen3-8b", context_tokens=16_000, **question)
    assert fit.runs
    (command,) = commands(fit)
    assert command.tool is tool
    assert command.engine is fit.estimate.engine
    check_recorded(command)
    assert {flag: flags_of(command, flag) for flag in expected} == expected


#: Keys of a question by the flags that say the same.
_LLAMA_KEYS = {
    "-ngl": "gpu_layers", "--n-cpu-moe": "cpu_moe_layers", "--cache-type-k": "k_cache_type", "-np": "batch",
    "--cache-type-v": "v_cache_type", "-ub": "micro_batch",
}  # fmt: skip
_VLLM_KEYS = {
    "--max-model-len": "context_tokens", "--gpu-memory-utilization": "gpu_memory_utilization",
    "--max-num-seqs": "max_num_seqs", "--max-num-batched-tokens": "max_num_batched_tokens",
    "--data-parallel-size": "data_parallel", "--pipeline-parallel-size": "pipeline_parallel",
}  # fmt: skip


def number(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


@pytest.mark.parametrize(
    "question",
    [
        {"gpu": "rtx-4090", "quant": "q4-k-m"},
        {"gpu": "rtx-4090", "quant": "q4-k-m", "batch": 4, "k_cache_type": "Q8_0"},
        {"model": "gemma-3-27b", "gpu": "rtx-3090", "quant": "q4-k-m", "batch": 3, "micro_batch": 2048},
        {"model": "qwen3-30b-a3b", "gpu": "rtx-4060", "quant": "q4-k-m"},
        {"model": "qwen3.6-27b", "gpu": "rtx-3090", "quant": "q4-k-m", "batch": 2, "kv_cache_type": "Q8_0"},
        {"model": "llama-3.3-70b", "gpu": "rtx-4090", "quant": "q4-k-m", "gpu_count": 2},
        {
            "gpu": "h100-sxm5-80-gb",
            "quant": "bf16-safetensors",
            "gpu_count": 8,
            "data_parallel": 2,
            "pipeline_parallel": 2,
        },
        {
            "gpu": "h100-sxm5-80-gb",
            "quant": "fp8",
            "max_num_seqs": 8,
            "gpu_memory_utilization": 0.8,
            "kv_cache_type": "FP8",
        },
    ],
)
def test_the_plan_is_what_its_command_starts(question: dict[str, object]) -> None:
    """A question made of a command's flags alone has the memory of the question that the command answers."""
    asked = {"model": "qwen3-8b", "context_tokens": 20_000} | question
    fit = plan(**asked)
    command = commands(fit)[0]
    (line,) = [line for line in words(command.text) if line[0] in ("llama-server", "vllm")]
    flags = dict(pairwise(line))
    names = _VLLM_KEYS if line[0] == "vllm" else _LLAMA_KEYS
    again = {name: number(flags[flag]) for flag, name in names.items() if flag in flags}
    again |= {key: asked[key] for key in ("model", "gpu", "quant", "gpu_count") if key in asked}
    if line[0] == "vllm":
        again |= {"kv_cache_type": "FP8"} if flags.get("--kv-cache-dtype") == "fp8" else {}
        sizes = [
            int(flags.get(flag, 1))
            for flag in ("--tensor-parallel-size", "--data-parallel-size", "--pipeline-parallel-size")
        ]
        assert np.prod(sizes) == fit.request.gpu_count
    else:
        again |= {"context_tokens": int(flags["-c"]) // int(flags["-np"])}
    assert plan(**again).estimate.memory == fit.estimate.memory


@pytest.mark.parametrize("fraction", [None, 0.8])
@pytest.mark.parametrize("engine", ["vLLM", "SGLang", "TensorRT-LLM"])
def test_a_server_is_given_the_pool_of_the_plan(engine: str, fraction: float | None) -> None:
    """Each counts its share of the memory in its own way: of all that it holds, of weights and cache, of what is left."""
    question = {
        "model": "qwen3-32b",
        "gpu": "h100-sxm5-80-gb",
        "gpu_count": 2,
        "quant": "bf16-safetensors",
        "engine": engine,
    }
    fit = plan(**question, context_tokens=8192, **({"gpu_memory_utilization": fraction} if fraction else {}))
    memory = fit.estimate.memory
    beside = memory.total_bytes - memory.kv_cache_bytes
    command = commands(fit)[0]
    given = {
        "--gpu-memory-utilization": lambda share: share * memory.capacity_bytes - beside,
        "--mem-fraction-static": lambda share: share * memory.capacity_bytes - memory.weights_bytes,
        "--kv_cache_free_gpu_memory_fraction": lambda share: share * (memory.capacity_bytes - beside),
    }
    (pool,) = [of(float(share)) for flag, of in given.items() if (share := flags_of(command, flag)) is not None]
    assert pool == pytest.approx(memory.usable_bytes - beside, rel=0.003)


@pytest.mark.parametrize("asked", [{"micro_batch": 2048}, {"flash_attention": False}])
@pytest.mark.parametrize(
    ("gpu", "quant", "engine"),
    [
        ("rtx-4090", "q4-k-m", "llama.cpp"),
        ("rtx-4090", "iq4-ks", "ik_llama.cpp"),
        ("rtx-4090", "q4-k-m", "Ollama"),
        ("rtx-4090", "q4-k-m", "LM Studio"),
        ("rtx-4090", "q4-k-m", "llamafile"),
        ("rtx-4090", "exl3-4bpw", "ExLlamaV3"),
        ("apple-m4-max-40c-48gb", "mlx-4bit", "MLX"),
    ],
)
def test_a_command_states_the_options_of_the_plan_or_there_is_none(
    asked: dict[str, object], gpu: str, quant: str, engine: str
) -> None:
    fit = plan(model="qwen3-8b", gpu=gpu, quant=quant, engine=engine, context_tokens=16_000, **asked)
    said = "-ub 2048" if "micro_batch" in asked else ("-fa off", "OLLAMA_FLASH_ATTENTION=0")
    known = [command for command in commands(fit) if any(text in command.text for text in np.atleast_1d(said))]
    assert known == list(commands(fit))
    assert bool(known) is (engine in ("llama.cpp", "ik_llama.cpp", "Ollama"))
    if engine in ("LM Studio", "llamafile", "ExLlamaV3", "MLX"):
        assert {missing.gap for missing in missing_commands(fit)} == {CommandGap.OPTIONS}
