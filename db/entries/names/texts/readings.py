"""Readings of a text that is more than a name: a file, a repository, a registry's tag, a number of accelerators."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Name of a quantization -> its slug, or None.
QuantOf = Callable[[str], str | None]

#: Before a name: a command, the address of a hub, and one who quantizes the models of others.
_ADDRESS = re.compile(
    r"^(?:(?:ollama|docker\s+model)\s+(?:run|pull|show)\s+)?(?:https?://)?(?:(?:hf\.co|huggingface\.co|ollama\.com/library|ollama\.com)/)?"
    r"(?:(?:unsloth|bartowski|mradermacher|lm-?studio|ubergarm|thebloke|cyankiwi)(?:['’]s)?[\s_]+)?",
    re.I,
)
#: Before the name that a file states of itself, in a log, that of a repository in a folder of the hub's client, and that of
#: a file in the cache of llama.cpp.
_LOCAL = re.compile(
    r"^.*\bgeneral\.name\b[^=]*=\s*|^(?:.*/)?models--(?P<owner>[^/]+)|^(?:.*/)?[^/\s]+-gguf_(?=[^/\s]+\.gguf$)", re.I
)
#: A revision behind a repository, in its address.
_REVISION = re.compile(r"/(?:tree|blob|resolve)/[^/]+(?=/|$)", re.I)
_FILE_END = re.compile(r"(?:-\d{5}-of-\d{5})?\.(?:gguf|safetensors|bin|pth?)$", re.I)
#: A command, or the end of one with its options; the file, or what else in it names a model; its quantization.
_COMMAND = re.compile(
    r"(?:^|\s)--?[a-z]|^(?:\S*/)?(?:vllm|ollama|lms|docker|hf|huggingface-cli|llama-\w+|mlx_lm\S*)\s", re.I
)
_NAMED_IN_COMMAND = (
    re.compile(r"(?<![^\s\"'=])([^\s\"'=*]+\.gguf)(?!\w)", re.I),
    re.compile(r"(?:^|\s)--(?:model(?:[-_](?:path|id|name))?|hf-repo|repo-id)[\s=]+[\"']?([^\s\"']+)", re.I),
    re.compile(r"(?:^|\s)-(?:m|hfr?)[\s=]+[\"']?([^\s\"']+)", re.I),
    re.compile(r"\s(?:serve|run|pull|chat|load|get|download|launch)\s+[\"']?([^\s\"'-][^\s\"']*)", re.I),
    re.compile(r"^([^\s-].*?)\s+--[a-z]", re.I),
)
_QUANT_IN_COMMAND = re.compile(r"\s--?(?:quant(?:ization|ize)?|include)[\s=]+[\"'*]*([\w.-]*\w)", re.I)
_GAP = re.compile(r"[\s_:/@-]+|(?<!\d)\.|\.(?!\d)")
#: Container formats and makers' marks at the end of a repository's name; they are no quantization by themselves.
_FORMATS = frozenset({"gguf", "ggml", "ggmlv3", "mlx", "i1", "imat", "imatrix", "ud", "quantized", "quants", "text"})
_MOST_PARTS = 5
#: Forms of a GGUF file type and of other quantizations; one of them that no entry has is not part of the model's name.
_QUANT_FORM = re.compile(
    r"(?:(?:ud )?(?:iq|tq|q)\d(?: (?!mlx)[\dksmlxnr]\w{0,2}){0,3}|exl[23]|w\d{1,2}a\d{1,2}(?:[a-z]\d{1,2})?"
    r"|compressed tensors|onnx|openvino|coreml|tensorrt|tflite|litert|mnn|rkllm|ct2|hqq|aqlm|vptq"
    r"|\d{1,2}(?:\.\d+)?[ -]?(?:bits?|bpw))$",
    re.I,
)

#: "exl2 4 25": bits without their unit.
_EXL = re.compile(r"exl[23] \d", re.I)

_TIMES = r"[x×*]"
_COUNTS = {"single": 1, "dual": 2, "two": 2, "double": 2, "twin": 2, "pair of": 2, "triple": 3, "three": 3, "quad": 4,
           "four": 4, "eight": 8}  # fmt: skip
_LEADING = re.compile(rf"^\(?(\d{{1,3}})\s*{_TIMES}\s*\)?\s*(?=\S)", re.I)
_LEADING_WORD = re.compile(rf"^(?:a\s+)?({'|'.join(_COUNTS)})\s+", re.I)
#: "2 3090s", "2 a100": a bare number that is no amount of memory.
_LEADING_NUMBER = re.compile(r"^(\d|1[0-6])\s+(?!(?:gb|gib|gio|go|g)(?![^\W_]))(?=\S)", re.I)
_TRAILING = re.compile(
    rf"(?:\s*\(\s*{_TIMES}?\s*(\d{{1,3}})\s*{_TIMES}?\s*\)|(?:\s+|(?<=\d)){_TIMES}\s*(\d{{1,3}})|[,\s]+(\d{{1,3}})\s*{_TIMES})$",
    re.I,
)
#: "2 nodes of 8x H100".
_NODES = re.compile(rf"(?P<nodes>\d{{1,2}})\s*nodes?\s*(?:of|with|[,x×])?\s*(?P<each>\d{{1,2}})\s*{_TIMES}\s*", re.I)
#: "4080s", "4070tis": short for Super where no count says that it is a plural.
_SUPER = re.compile(r"(?<=\d\d)(?P<grade>\s?ti)?s(?![^\W_])", re.I)
_PLURAL = re.compile(r"(?<=\d)s$|(?<=\w{3})(?<!s)s$|(?<=\d [a-z]{2})s$", re.I)
#: Remarks of drivers: the chip's code name, as Mesa prints it, and what else the processor has.
_DRIVER = re.compile(
    r"\(mac\d+,\d+\)"
    r"|\((?:mtl|metal|cuda|rocm|hip|vulkan|sycl|opencl|blas|rpc|cpu)(?:,\w+)*\)"
    r"|\((?:radv|llvm|navi|vega|polaris|amd|mesa|drm)[^)]*\)|\((?:[a-z]{3}(?:-[a-z])?|dg2|bmg)(?:[ -]g\w*)?\)|\bradv\b.*$"
    r"|\s(?:w/|with)\s*radeon(?:\s+(?!\(?\d+\s*g)\S+)*|\b\d{1,2}[ -]core cpu\b",
    re.I,
)
#: What an engine or driver prints before the name of a device, and behind it, as in "CUDA0: ..., compute capability 8.6".
_LOGGED = re.compile(
    r"^(?:ggml_\w+:\s*(?:\d+\s*=|.*?\bdevice\s*\d*\s*:)|(?:\w+:\s*)?(?:cuda|vulkan|rocm|hip|metal|sycl|opencl|device|gpu)\s*#?\d*\s*[:=-])\s*"
    r"(?P<name>.+?)"
    r"(?:,\s*(?:compute capability|gfx\w*|vmm|\d+\s*mi?b)\b.*|\s*\((?:uuid|nvidia|\d+\s*mi?b)\b.*|\s*/\s*uma\b.*|\s*\|.*)?$",
    re.I,
)
#: What a list of devices prints around a name, as in "01:00.0 VGA compatible controller: ... [GeForce RTX 4090] (rev a1)".
_LISTED = re.compile(
    r"^.*\b(?:controller|chipset model|model identifier|hardware model|accelerators?|(?:chip|processor|graphics)(?= *:))[^:]*:"
    r"\s*(?:.*\[)?(?P<name>[^\[\]]+)\]?(?:\s*\(rev \w+\))?$",
    re.I,
)
#: The device that llama.cpp says it uses, as in "using device CUDA0 (NVIDIA GeForce RTX 4090) - 22994 MiB free".
_USED = re.compile(r"^.*\busing device \w+ \((?P<name>.+?)\)(?: \([\w:. -]+\))?(?: - \d+ mib free)?$", re.I)
#: A row of ``nvidia-smi``: index, name, and whether the driver stays loaded.
_ROW = re.compile(
    r"^\|?\s*(?:\d{1,2}[\s|]+|(?=nvidia|geforce|quadro|tesla))(?P<name>\S.*?)[\s|]+(?:on|off)(?![^\W_])"
    r"(?:[\s|:./]|\d[\da-f]*(?![\da-f])|off|n/a|mib|default)*$",
    re.I,
)
#: Lines of ``system_profiler`` behind the chip: its cores, those of the processor with their kinds, and what no name states.
_CORES = re.compile(r"\btotal number of cores\s*:\s*(?P<cores>\d+)(?P<kinds>\s*\([^)]*\))?", re.I)
_PROFILED = re.compile(
    r"\b(?:type\s*:\s*gpu|bus\s*:\s*\S+|vendor\s*:\s*\S+(?:\s*\(0x\w+\))?|metal (?:support|family)\s*:.*$)", re.I
)
#: An amount of memory as drivers print it behind a name, a little less than that of the card.
_MEBIBYTES = re.compile(r"[\s,(]+(?P<amount>\d{4,6})\s*mib\)?(?:\s*,\s*\d+(?:\.\d+)*)*\s*$", re.I)
_MEBIBYTES_OF_GB = 1024
#: Between several accelerators ("Max+ 395" is one), between one and its computer, and between those of which a device is one,
#: as a list of devices prints them.
JOINED = re.compile(r"\s*(?:(?<=\s)\+|\+(?=\S)|&|,|\b(?:and|und|et|plus)\b)\s*", re.I)
BESIDE = re.compile(r"\s*(?:\b(?:with|mit|avec|con|com|in)\b|\bw/|@)\s*", re.I)
ALTERNATIVES = re.compile(r"\s*/\s*|\s+\bor\b\s+", re.I)
#: Between a model and the accelerator that it runs on.
ON_GPU = re.compile(
    r"\s+(?:(?:on|with|w/|for|mit|auf|für|sur|avec|pour|con|com|em|su|\+|@)\s+(?:(?:an?|my|the|(?:m?eine?[mnr]?)|une?|mon|ma)\s+)?"
    rf"|(?=(?:\d+\s*{_TIMES}\s*|(?:{'|'.join(_COUNTS)})\s+)?(?:(?:rtx|gtx|rx)\s*\d|radeon|geforce|quadro|tesla|instinct|mac\b|macbook)))",
    re.I,
)
#: The letter of a laptop's chip, or the power class of one: GeForce alone has desktop numbers with Max-Q in laptops.
_MOBILE = re.compile(r"(?:(?<=\d{4})m|(?<=\d[06][5-9]0)(?P<grade>(?:\s*(?:ti|super))?)\s*max[\s-]?q)(?![^\W_])", re.I)
_TARGET = re.compile(r"\bgfx[0-9a-f]{3,4}\b", re.I)
#: Code names that Mesa prints -> compiler target (``ac_get_family_name`` and ``ac_get_llvm_processor_name`` of Mesa).
_CODE_NAMES = {
    "polaris10": "gfx803", "polaris11": "gfx803", "polaris12": "gfx803", "vega10": "gfx900", "raven": "gfx902",
    "vega12": "gfx904", "vega20": "gfx906", "mi100": "gfx908", "raven2": "gfx909", "renoir": "gfx90c", "navi10": "gfx1010",
    "navi12": "gfx1011", "navi14": "gfx1012", "navi21": "gfx1030", "navi22": "gfx1031", "navi23": "gfx1032",
    "vangogh": "gfx1033", "navi24": "gfx1034", "rembrandt": "gfx1035", "raphael_mendocino": "gfx1036", "navi31": "gfx1100",
    "navi32": "gfx1101", "navi33": "gfx1102", "phoenix": "gfx1103", "phoenix2": "gfx1103", "hawk_point1": "gfx1103",
    "hawk_point2": "gfx1103", "strix1": "gfx1150", "strix_halo": "gfx1151", "krackan1": "gfx1152", "navi44": "gfx1200",
    "navi48": "gfx1201",
}  # fmt: skip
_CODE_NAME = re.compile(rf"\bradv[ _](?:gfx\w+|({'|'.join(sorted(_CODE_NAMES, key=len, reverse=True))}))\b", re.I)
#: A Mac around its chip.
MAC = re.compile(
    r"(?:\b(?:1\d|2[147])(?:\.\d)?(?:[\s-]*inch|\s*[\"”″])\s*)?\b(?:apple\s+)?"
    r"(?:mb[pa]|macbook(?:\s+(?:pro|air|neo))?|mac\s*-?\s*(?:mini|studio|pro)|imac(?:\s+pro)?|air|mini|studio)"
    r"(?:\s+(?:1\d|2[147])(?:\.\d)?(?:[\s-]*inch|\s*[\"”″])?)?(?![^\W_])",
    re.I,
)
#: What a service writes before the name of an instance ("ml.g5.xlarge"), or around a count ("gpu_8x_h100_sxm5").
_SERVICE = re.compile(r"^(?:ml\.(?=[a-z])|(?:google\s+)?tpu\s+(?=v\d\w*-\d)|(?:lambda\s+)?gpu_(?=\d+x_))", re.I)
#: Makers of boards with their lines, and those who rent accelerators: words around a name that leave the chip as it is.
AROUND = re.compile(
    r"\b(?:acer|asrock|asus|beelink|colorful|dell|evga|gainward|galax|gigabyte|gunnir|hp|inno3d|kfa2|lenovo|manli|maxsun|msi|palit|pny"
    r"|powercolor|sapphire|sparkle|supermicro|xfx|yeston|zotac|tuf|rog(?:[ -]strix)?|proart|ftw3?|xc3|aorus|eagle|windforce"
    r"|ventus(?:[ -][23]x)?|suprim(?:[ -]x)?|gaming(?:[ -](?:x|z|oc|pro|trio))?|x[ -]trio|trio|slim|nitro\+?|pulse|red[ -]devil"
    r"|hellhound|ichill(?:[ -]x\d)?|steel[ -]legend|challenger|phantom|turbo|blower|amp|trinity|oc(?:[ -]edition)?"
    r"|azure|coreweave|crusoe|nebius|ovh(?:cloud)?|scaleway|vultr"
    r"|colab(?:[ -]pro)?|gcp|google[ -]colab|hetzner|kaggle|lambda(?:[ -]labs)?|lightning(?:[ .]ai)?"
    r"|oracle|paperspace|runpod|vast(?:\.ai)?)"
    r"(?![^\W_])\+?",
    re.I,
)
#: Lines of laptops with their model, around the name of a card.
LAPTOP = re.compile(
    r"\b(?:(?:asus|dell|hp|lenovo|acer|msi|razer)\s+)?"
    r"(?:alienware|aspire|blade|elitebook|ideapad|inspiron(?:\s+\d{4})?|katana|latitude(?:\s+\d{4})?|legion|loq|nitro(?!\s*\+)|omen|pavilion|precision(?:\s+\d{4})?|predator"
    r"|probook|scar|stealth|surface(?:\s+(?:laptop|book|pro))?|thinkpad|victus|vivobook|xps|yoga|zbook|zenbook|zephyrus"
    r"|framework\s+laptop|laptop|notebook|tuf(?:\s+gaming|\s+dash)?(?=\s+[af]1[4-8])|rog\s+strix(?=\s+g1[4-8])|flow(?=\s+[xz]1)"
    r"|galaxy\s+book|gram(?=\s+1[4-8])|swift|xmg|schenker|tuxedo|clevo"
    r"|(?:aero|aorus|cyborg|crosshair|pulse|raider|sword|thin|titan|vector)(?=\s+(?:(?:g[efpst]|a)?\d{2}(?!\d|x|\s*g)|1[3-8]x)))"
    r"(?:\s+(?:helios|pro|slim|studio))?(?:\s+[a-z]{0,2}\d{1,3}[a-z]?(?![^\W_]))?(?:\s+(?:pro|slim)(?![^\W_]))?"
    r"(?:\s+gen\s+\d+)?(?![^\W_])",
    re.I,
)
_PROCESSOR = re.compile(r"\b(?:ryzen|core|ultra|i[3579])\b", re.I)
_FORM = re.compile(r"\b(?:laptop|notebook|(?:mini )?pc)\b", re.I)
#: The format before a name, as in "MLX Qwen3 8B 4bit".
_MLX_FIRST = re.compile(r"^mlx(?:[ -]lm)?\s+", re.I)
#: Cores of the processor and of the accelerator, as in "M3 Max 16/40".
_BOTH_CORES = re.compile(r"(?i)(?<![\d.])\d{1,2}c?/(\d{1,2})c?(?![\w.])")
_APPLE_CHIP = re.compile(r"(?<![^\W_])[ma]\d{1,2}(?:pro|max|u(?:ltra)?)?(?![^\W_])", re.I)


@dataclass(frozen=True, slots=True)
class Reading:
    """A part of a text that may be a name. ``whole``: it is an identifier, which leaves nothing out.

    ``unknown_quant`` is what the text states in the place of a quantization and the catalog does not have. ``is_short``: a
    letter of the text is read as a word.
    """

    name: str
    count: int | None = None
    quant: str | None = None
    unknown_quant: str | None = None
    whole: bool = False
    is_short: bool = False


def model_readings(text: str, quant_of: QuantOf) -> Iterator[Reading]:
    """The text; then without address, owner and file type; then without the quantizations at its end, one by one."""
    yield Reading(text)
    path = _ADDRESS.sub("", _LOCAL.sub(r"\g<owner>", text.strip().replace("\\", "/")).replace("--", "/"))
    path = _REVISION.sub("", path)
    name = _FILE_END.sub("", path.rsplit("/", 1)[-1])
    whole = "/" in path or name != path.rsplit("/", 1)[-1]
    seen = {text}
    # A folder of a repository is named for the quantization of its files.
    folder = "/".join(path.split("/")[-2:])
    for bare in dict.fromkeys((path if path.count("/") == 1 else name, name, folder, _MLX_FIRST.sub("", name))):
        for reading in _peeled(bare, quant_of, mlx="mlx" in path.casefold(), whole=whole):
            if reading.name not in seen:
                seen.add(reading.name)
                yield reading


def named_in_command(text: str) -> str:
    """The file or model in a command, with the quantization of its option; the text where it is no command."""
    found = _COMMAND.search(text) and next(filter(None, (pattern.search(text) for pattern in _NAMED_IN_COMMAND)), None)
    if not found:
        return text
    quant = _QUANT_IN_COMMAND.search(text)
    return f"{found[1]} {quant[1]}" if quant else found[1]


def _peeled(name: str, quant_of: QuantOf, *, mlx: bool, whole: bool) -> Iterator[Reading]:
    quant: str | None = None
    unknown: str | None = None
    yield Reading(name, whole=whole)
    while True:
        ends = [match.start() for match in _GAP.finditer(name)][-_MOST_PARTS:]
        for end in ends:
            tail = _GAP.sub(" ", name[end:]).strip()
            own = (quant_of(f"MLX {tail}") if mlx else None) or quant_of(tail)
            own = own or (quant_of(f"{tail}bpw") if _EXL.match(tail) else None)
            form = own is None and quant is None and _QUANT_FORM.match(tail) is not None
            if own is not None or form or tail.casefold() in _FORMATS:
                quant = quant or own
                unknown = unknown or (_GAP.sub("", name[end:], count=1) if form else None)
                name = name[:end]
                break
        else:
            return
        yield Reading(name, quant=quant, unknown_quant=unknown, whole=whole)


def gpu_readings(text: str) -> Iterator[Reading]:
    """The text; without the driver's remarks; without the computer or board around the chip; each with a count split off."""
    if (bare := _SERVICE.sub("", text.strip())) != text.strip():
        text = bare.replace("_", " ")
    yield Reading(text)
    text = _NODES.sub(lambda match: f"{int(match['nodes']) * int(match['each'])}x ", text)
    text = _CORES.sub(lambda match: "" if match["kinds"] else f"{match['cores']}-core", _PROFILED.sub(" ", text))
    listed = next(filter(None, (pattern.match(text.strip()) for pattern in (_USED, _LOGGED, _LISTED, _ROW))), None)
    names = [text.strip() if listed is None else listed["name"].strip()]
    if (amount := _MEBIBYTES.search(names[0])) is not None:
        bare = names[0][: amount.start()]
        names = [f"{bare} {-(-int(amount['amount']) // _MEBIBYTES_OF_GB)} GB", bare]
    without_driver = _DRIVER.sub(" ", names[-1]).strip()
    if without_driver != names[-1]:
        names.append(without_driver)
    if _APPLE_CHIP.search(text):
        names.append(MAC.sub(" ", _BOTH_CORES.sub(r"\1core", names[-1])).strip())
    if _PROCESSOR.search(text) and _FORM.search(text):
        names.append(" ".join(_FORM.sub(" ", names[-1]).split()))
    chip, is_counted = " ".join(AROUND.sub(" ", names[-1]).split()), names[-1][:1].isdigit()
    # A number before the chip that began no text is that of a laptop or a board, and no count.
    is_chip = chip not in ("", names[-1]) and (not _LEADING_NUMBER.match(chip) or is_counted)
    card = " ".join(LAPTOP.sub(" ", names[0]).split())
    if card and card != names[0]:
        names.append(f"{card} laptop")
    names += [chip] if is_chip else []
    if _MOBILE.search(names[-1]):
        names.append(_MOBILE.sub(r"\g<grade> laptop", names[-1]))
    for name in names:
        yield Reading(name)
        counted = list(_counted(name))
        if all((reading.count or 1) == 1 for reading in counted) and _SUPER.search(name):
            yield Reading(_SUPER.sub(r"\g<grade> super", name), is_short=True)
        yield from counted


def target_of(text: str) -> str | None:
    """The compiler target that a driver's device string states, as ``gfx1151``."""
    if (match := _TARGET.search(text)) is not None:
        return match.group().casefold()
    match = _CODE_NAME.search(text)
    return None if match is None else _CODE_NAMES[match.group(1).casefold()]


def _counted(text: str) -> Iterator[Reading]:
    """The name without the count that it states, in singular too."""
    count, rest = None, text
    for pattern in (_LEADING, _LEADING_WORD, _LEADING_NUMBER, _TRAILING):
        match = pattern.search(text)
        if match is not None:
            stated = next(group for group in match.groups() if group)
            count = _COUNTS.get(stated.casefold()) or int(stated)
            rest = (text[: match.start()] + text[match.end() :]).strip()
            break
    singular = _PLURAL.sub("", rest)
    for name in dict.fromkeys((rest, singular)):
        if name and name != text and count != 0:
            yield Reading(name, count=count)
