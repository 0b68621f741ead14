"""The part of a configuration that describes the language model: its class, traits and values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from db.imports.checkpoints.quantization import TEXT_SECTIONS
from db.imports.errors import ImportFactsError, needed, whole
from db.imports.hub.class_defaults import COMMON_NAMES, ESSENTIAL, ConfigValues, table, type_of_class
from db.imports.hub.class_names import MINICPM_V, MODEL_TYPES, OTHER_KINDS, OTHER_NAMES, SHARED_NAMES
from db.imports.hub.families import FAMILIES, Family
from db.imports.hub.own_parts import blocks_of_zamba

#: Heads other than that of a language model, by the end of a class's name.
_OTHER_HEADS = {
    "ForMaskedLM": "encoder",
    "ForSequenceClassification": "classifier",
    "ForTokenClassification": "classifier",
    "ForQuestionAnswering": "classifier",
    "ForCTC": "speech model",
    "ForSpeechSeq2Seq": "speech model",
    "ForImageClassification": "image model",
    "ForRewardModel": "reward model",
    "AssistantForCausalLM": "drafter of another model",
    "ForBlockDiffusion": "diffusion model",
    "EagleForCausalLM": "drafter of another model",
    "ForCausalLMEagle3": "drafter of another model",
    "MedusaForCausalLM": "drafter of another model",
}
_WIDTH = 4_194_304
#: Classes of one vision-language project that wrap a language model: ``LlavaQwen2ForCausalLM``.
_WRAPPER = re.compile(r"(?:Llava|Mini_Gemini|Bunny|Cambrian|TinyLlava)(\w+)")


@dataclass(frozen=True, slots=True)
class Section:
    """The language model of a configuration: class name, traits, values, and the model types around it."""

    name: str
    family: Family
    values: ConfigValues


def language_model(config: Mapping[str, Any]) -> Section:
    """The section of ``config`` that describes the language model.

    Raises:
        ImportFactsError: the class is none that can be read, or is no decoder.
    """
    if config.get("ssm_cfg") is not None and not config.get("architectures") and not config.get("model_type"):
        config = _of_mamba_package(config)
    outer_name, outer_type = _class_name(config), _text(config.get("model_type"))
    _require_decoder(outer_name, outer_type)
    text: Mapping[str, Any] = config
    while section := next((text[key] for key in TEXT_SECTIONS if isinstance(text.get(key), Mapping)), None):
        text = section
    own_type = outer_type if text is config else _text(text.get("model_type")) or _usual_text(outer_type)
    names = [outer_name] if text is config else [outer_name, _class_name(text)]
    signs = {own_type, *text}
    shared = {name: own for (name, sign), own in SHARED_NAMES.items() if sign in signs}
    names = [shared.get(str(name), name) for name in names]
    if outer_type in ("minicpmv", "minicpmo") and text is config:
        names.append(MINICPM_V.get(str(config.get("version", "2.0"))))
    types = [own_type, outer_type]
    name = _known(names, types)
    if name is None:
        _refuse(outer_name, outer_type)
    own = _widest(config) if text is config else _values(config, text, outer_type)
    if name == "Ernie4_5_VLMoeForConditionalGeneration":
        own = _of_text_tokens(own)
    if name == "DoryForCausalLM":
        own = _of_pairs(own)
    _require_own_sizes(config, own, is_flat=text is config)
    # The type that a nested section states is its own; one beside the whole file may be that of another model.
    own_defaults = own_type if text is not config and own_type in table()["types"] else _type(name, types, names)
    values = ConfigValues(own, own_defaults, type_is_stated=any(types))
    if name == "ZambaForCausalLM" and values.get("hybrid_override_pattern") is None:
        values.own["hybrid_override_pattern"] = blocks_of_zamba(values)
    return Section(name, FAMILIES[name], values)


def _of_mamba_package(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of the package ``mamba_ssm`` (its ``MambaConfig``), which names no class, under the library's keys."""
    stated = config["ssm_cfg"]
    ssm = dict(stated) if isinstance(stated, Mapping) else {"layer": stated}
    version = ssm.pop("layer", "Mamba1")
    if version not in ("Mamba1", "Mamba2"):
        raise ImportFactsError("'ssm_cfg.layer' must be Mamba1 or Mamba2", "ssm_cfg")
    is_second = version == "Mamba2"
    multiple = whole(config, "pad_vocab_size_multiple", 1, 65_536, 8) or 8
    width, expand = needed(config, "d_model", 8, _WIDTH), whole(ssm, "expand", 1, 64, 2) or 2
    own: dict[str, Any] = {
        "architectures": ["Mamba2ForCausalLM" if is_second else "MambaForCausalLM"],
        "hidden_size": width,
        "num_hidden_layers": config.get("n_layer"),
        "vocab_size": -(-needed(config, "vocab_size", 1, _WIDTH) // multiple) * multiple,
        "tie_word_embeddings": config.get("tie_embeddings", True),
        "state_size": ssm.pop("d_state", 128 if is_second else 16),
        "conv_kernel": ssm.pop("d_conv", 4),
        "expand": ssm.pop("expand", 2),
    }
    if is_second:
        head = whole({"headdim": ssm.pop("headdim", None)}, "headdim", 1, _WIDTH, 64) or 64
        own |= {"head_dim": head, "num_heads": expand * width // head, "n_groups": ssm.pop("ngroups", 1)}
    others = {key: config.get(key) for key in ("attn_layer_idx", "d_intermediate") if config.get(key)} | ssm
    for key in others:
        raise ImportFactsError(f"{key[:80]!r} is not read for a model of mamba_ssm", key[:80])
    if config.get("rms_norm") is False:
        raise ImportFactsError("'rms_norm' must be true for a model of mamba_ssm", "rms_norm")
    return own


#: Types whose class ties the head where their text part says so (``tie_word_embeddings`` in their ``__post_init__``).
_TIED_AS_TEXT = frozenset({
    "glm4v", "glm4v_moe", "glm_ocr", "llama4", "llava", "llava_next_video", "llava_onevision", "minimax_m3_vl",
    "qwen2_5_vl", "qwen2_vl", "shieldgemma2", "video_llama_3",
})  # fmt: skip


def _require_own_sizes(config: Mapping[str, Any], own: Mapping[str, Any], *, is_flat: bool) -> None:
    """Refuse to take the sizes of a class in place of those of a language model under a name that is not read."""
    stated = ESSENTIAL & {COMMON_NAMES.get(key, key) for key in own}
    # A section may state its vocabulary alone; a file that does keeps the other sizes somewhere else.
    if stated - ({"vocab_size"} if is_flat else frozenset()):
        return
    for key, part in config.items():
        if isinstance(part, Mapping) and {COMMON_NAMES.get(name, name) for name in part} >= ESSENTIAL:
            raise ImportFactsError(
                f"{key[:80]!r} has the sizes of a language model, but is not read; give it as 'text_config'", key[:80]
            )


def _values(config: Mapping[str, Any], text: Mapping[str, Any], outer_type: str | None) -> Mapping[str, Any]:
    own = dict(text)
    for key in ("dtype", "torch_dtype"):
        if own.get(key) is None and config.get(key) is not None:
            own[key] = config[key]
    # The head belongs to the whole model, whose word on it counts.
    tied = config.get("tie_word_embeddings")
    if tied is None and own.get("tie_word_embeddings") is None:
        tied = table()["types"].get(outer_type, {}).get("defaults", {}).get("tie_word_embeddings")
    if tied is not None and (tied is not False or outer_type not in _TIED_AS_TEXT):
        own["tie_word_embeddings"] = tied
    return own


def _widest(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that lists the heads of each layer (OpenELM) with those of the widest; its lists stay, under names of
    their own."""
    own = dict(config)
    rows = own.get("embedding_size")
    if type(rows) is int and type(own.get("vocab_size")) is int and rows > own["vocab_size"]:
        # Rows that pad the embedding to a multiple (the first code of OLMo).
        own["vocab_size"] = rows
    queries, keys = own.get("num_query_heads"), own.get("num_kv_heads")
    if isinstance(queries, list) and isinstance(keys, list) and all(type(count) is int for count in (*queries, *keys)):
        own |= {"num_attention_heads": max(queries, default=0), "num_key_value_heads": max(keys, default=0)}
        own["key_heads_of_layers"] = own.pop("num_kv_heads")
    return own


def _of_text_tokens(own: Mapping[str, Any]) -> dict[str, Any]:
    """ERNIE 4.5 VL has experts for text and others for images, in pairs: those of text, which are part of the language model."""
    pairs = ("num_experts", "intermediate_size", "layer_start_index", "layer_end_index")
    keys = {f"moe_{key}" for key in pairs}
    return {key: value[0] if key in keys and isinstance(value, list) and value else value for key, value in own.items()}


def _of_pairs(own: Mapping[str, Any]) -> dict[str, Any]:
    """Dory's published configurations count attention and feed-forward as two layers; here they are one."""
    kinds = own.get("layer_types")
    if not isinstance(kinds, list) or "mlp" not in kinds:
        return dict(own)
    counts = ("num_hidden_layers", *(f"n_{part}_layers" for part in ("input", "recurrent", "output")))
    halved = {key: own[key] // 2 for key in counts if type(own.get(key)) is int}
    if set(kinds[1::2]) != {"mlp"} or any(own[key] % 2 for key in halved):
        raise ImportFactsError("'layer_types' must name attention and mlp in turn", "layer_types")
    return {**own, **halved, "layer_types": kinds[::2]}


def _usual_text(outer_type: str | None) -> str | None:
    """Type of the language model that a class of several parts takes where its section names none."""
    entry = table()["types"].get(outer_type, {})
    return _text(entry.get("usual_text", entry.get("text")))


def _known(names: list[str | None], types: list[str | None]) -> str | None:
    """The first class that can be read: as named, as spelled otherwise, as the model type names it."""
    for name in names:
        for candidate in _spellings(name):
            if candidate in FAMILIES:
                return candidate
    for model_type in types:
        entry = table()["types"].get(model_type, {})
        inner = table()["types"].get(entry.get("text"), {})
        for named in (MODEL_TYPES.get(str(model_type)), entry.get("class"), inner.get("class")):
            spelled = OTHER_NAMES.get(str(named), str(named))
            if spelled in FAMILIES:
                return spelled
    return None


def _spellings(name: str | None) -> list[str]:
    if name is None:
        return []
    wrapped = _WRAPPER.fullmatch(name)
    names = [name, OTHER_NAMES.get(name, name)]
    if wrapped:
        names.append(wrapped.group(1))
    names += [_BY_CASE.get(spelling.casefold(), spelling) for spelling in list(names)]
    return names


_BY_CASE = {name.casefold(): name for name in FAMILIES}


def _type(name: str, types: list[str | None], names: list[str | None]) -> str | None:
    """The model type whose class gives the defaults."""
    known = table()["types"]
    for model_type in types:
        # A type whose own class cannot be read, or has other traits, is that of another model (Grok 2 states GIT's).
        own_class = _known([], [model_type])
        if model_type in known and own_class and FAMILIES[own_class] == FAMILIES[name]:
            return str(known[model_type].get("text", model_type))
    for class_name in (name, *names):
        model_type = type_of_class().get(str(class_name))
        if model_type:
            return str(known[model_type].get("text", model_type))
    return next((key for key, value in MODEL_TYPES.items() if value == name and key in known), None)


def _class_name(config: Mapping[str, Any]) -> str | None:
    names = config.get("architectures")
    if names is None or (isinstance(names, list) and not names):
        return None
    if not isinstance(names, list) or not isinstance(names[0], str):
        raise ImportFactsError(
            "'architectures' must be a list with one name, such as [\"LlamaForCausalLM\"]", "architectures"
        )
    return names[0]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _require_decoder(name: str | None, model_type: str | None) -> None:
    kind = OTHER_KINDS.get(str(model_type), table()["refused"].get(model_type))
    if name is not None:
        kind = next((head for end, head in _OTHER_HEADS.items() if name.endswith(end)), kind)
        kind = None if name in FAMILIES else kind
    if kind is None:
        return
    type_name = name or model_type
    raise ImportFactsError(
        f"{type_name!r:.80} is {'an' if kind[0] in 'aei' else 'a'} {kind}; only models that generate text token by token "
        "are estimated",
        "architectures",
    )


def _refuse(name: str | None, model_type: str | None) -> NoReturn:
    if name is None and model_type is None:
        raise ImportFactsError(
            "'architectures' must be a list with one name, such as [\"LlamaForCausalLM\"]", "architectures"
        )
    near = " or ".join(get_close_matches(str(name or model_type)[:80], FAMILIES, 3))
    raise ImportFactsError(
        f"the architecture {name or model_type!r:.80} is not known"
        f"{near and f'; near names are {near}'}; where a known class has the same structure, name that class",
        "architectures",
    )
