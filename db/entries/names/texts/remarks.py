"""Words around a name that no name has: remarks, other languages, and parts of a question that a name does not state.

A text is read without them only where it means nothing as it stands, so a word here never takes one from a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from db.entries.names.texts.words import PACKERS

_INTEGRATED = "(?:i-?gpu|(?:integrated|onboard) (?:gpu|graphics)|integrierte grafik)"
#: Graphics that are a part of a processor.
INTEGRATED = re.compile(rf"(?<![^\W_]){_INTEGRATED}(?![^\W_])", re.I)
#: Words of sentences, between gaps, which name no model: those of grammar, and what is done with one.
_GRAMMAR = (
    "about|am|an?|any(?:body|one)?|are|at|be|but|ca(?:n|n['’]?t|nnot)|could|did|do|does|doesn['’]?t|don['’]?t|for|had|has"
    "|have|how|i|i['’]?m|i['’]?ve|if|in|into|is|isn['’]?t|it|it['’]?s|me|my|not|of|on|or|our|out|should|so|someone|that|the|there"
    "|they|this|to|too|very|was|we|were|what(?:['’]s)?|when|where|which|while|who|why|will|with|won['’]?t|would|you|your"
)
_DONE = (
    "deploy(?:ing)?|fits?|get(?:ting)?|load(?:s|ing)?|locally|need|run(?:s|ning)?|serv(?:e|es|ing)|tr(?:y|ied|ying)"
    "|us(?:e|es|ing)|want|works?"
)
_SET_OFF = re.compile(rf"(?<!\S)(?:{_GRAMMAR}|{_DONE})(?=[\s?!.,:]|$)[?!.,:]?|[?!]", re.I)
_NO_CARD = "(?:no|without|ohne|keine?) (?:gpu|grafikkarte)|cpu[- ]only|(?:only|nur) (?:an? )?cpu"
#: Kind -> what stands for the words of other languages and signs.
_WORDS: Mapping[str, Mapping[str, str]] = {
    "gpu": {
        "2x": "zwei|zwo|doppelte?|deux|doble|dos|due|doppia|duas|dois|dupla|две|два|双卡?|两[张块卡]?|二枚|두\\s?[장개대]",
        "3x": "drei|trois|tres|tre|três|три|三[张块卡枚]|세\\s?[장개대]",
        "4x": "vier|quatre|cuatro|quattro|quatro|четыре|四[张块卡枚]|네\\s?[장개대]",
        "8x": "acht|huit|ocho|otto|oito|восемь|八[张块卡枚]",
        "laptop": "笔记本(?:电脑)?|移动[版端]|ノート\\s?(?:pc|パソコン)?|노트북|ноутбук\\w*"
        "|portátil|portatile|(?:pc|ordinateur) portable",
        "desktop": "台式机?|桌面版?|デスクトップ|데스크톱|de bureau|de sobremesa",
        "modded": "魔改|改版",
        "gb": "гб|ギガ|기가|gigs?",
        "nvidia": "英伟达",
        "cpu": f"^(?:{_NO_CARD})$",
        "apple": "苹果",
        "macbook": "맥북",
        "air": "에어",
        "pro": "프로",
        "max": "맥스",
        "ascend": "(?:华为)?昇腾",
        "": f"{_NO_CARD}|{_INTEGRATED}|model [ab]\\+?|"
        "grafikkarten?|cartes? graphiques?|tarjetas? (?:gráficas?|graficas?|de v[ií]deo)|sched[ae] (?:video|grafic[ae])"
        "|placas? (?:de v[ií]deo|gráficas?)|видеокарт\\w*|显卡|独显|显存|グラボ|グラフィックボード|그래픽\\s?카드"
        "|(?:grafik)?speicher|mémoire|memoria|memória|vidéo|cards?|kart(?:en?)|cartes?|tarjetas?|placas?"
        "|mit|avec|con|com|de|da|del|di|je|with|of|one|an?|eine?[mnr]?|une?|uno|una|uma?|один|одна|und|et|and|my|mine|meine?|mon|ma|mi"
        "|used|refurb(?:ished)?|(?:second|2nd)[- ]hand|gebrauchte?|occasion|usad[ao]s?|the|each"
        "|nv-?link(?:ed)?|sli|e-?gpu|oculink|thunderbolt(?: [345])?|usb4|water-?cooled|watercooling|undervolted|overclocked|oc|ecc"
        "|20[12]\\d|early|mid|late|old|alte[rns]?|vieux|viejo"
        "|(?:lunar|meteor|arrow|raptor|alder) lake|(?:strix|hawk|phoenix) point|zen ?[2-5]"
        "|吗|的|有|单卡?|一[张块卡]|版|を?搭載",
    },
    "model": {
        "qwen": "通义千问|千问",
        "exaone": "엑사원",
        "gemma": "젬마|ジェマ",
        "glm": "智谱(?:清言)?",
        "llama": "라마|ラマ|羊驼",
        "mistral": "미스트랄|ミストラル",
        "deepseek": "深度求索",
        "hunyuan": "混元",
        "ernie": "文心(?:一言)?",
        "internlm": "书生(?:浦语)?",
        "distill": "蒸馏版?",
        "bit": "位",
        "bf16": "un-?quanti[sz]ed|full precision|unquantisiert|non quantisé",
        "": "日本語|한국어|양자화|auf deutsch|en français|en español|in english|中文版?|exl2 h[68]|h[68]"
        "|quants?|quanti[sz]ed|quanti[sz]ation|quanti[sz]iert|quantisée?|quantifiée?"
        "|cuantizad[oa]|quantizzat[oa]|quantizad[oa]"
        "|量化(?:版|模型)?|大?模型|满血版?|版本?|at|in|as|with|en|im|als|auf|mit|avec|con|com|em|an?|the|my|un|une|le|el|il|weights|de|di|do|da|von"
        f"|gguf file|full|big|arm|(?<![^\\s\\[])(?:{_GRAMMAR}|{_DONE})(?![^\\s\\]?!.,:])"
        "|(?:us|eu|apac)(?=\\.[a-z])|1:0|(?:fireworks|together|vertex)_ai|accounts|basic|lm|maas|models"
        "|bedrock|cerebras|deepinfra|fireworks|groq|novita|openrouter|together(?:\\.?ai)?"
        "|free|nitro|cloud|turbo|versatile|instant|v1:0|4096|8192|16384|32768|65536|131072|meta",
    },
}
_PACKERS = "|".join(name.replace(" ", "[ -]") for name in PACKERS)
_TIMES = r"[x×*]"
_COUNTED = re.compile(r"(?<![\w.])(\d{1,3})\s*(?:[张块卡枚台個个장개]|шт\.?|stück|stk\.?|pcs\.?|units?(?!\w))", re.I)
#: Letters of writing without gaps beside those of the Latin one.
_SCRIPTS = re.compile(r"(?<=[぀-ヿ㐀-鿿가-힯])(?=[a-z0-9])|(?<=[a-z0-9.])(?=[぀-ヿ㐀-鿿가-힯])", re.I)
_AMOUNT = r"\d+(?:\.\d+)?\s*(?:gb|gib|go|gig|g|tb|гб)(?![^\W_])"
#: The memory of all accelerators, or that of one.
_TOTAL = rf"\(\s*{_AMOUNT}\s*(?:(?:of\s+)?v-?ram\s*)?\)|(?<![^\W_]){_AMOUNT}\s*(?:of\s+)?v-?ram(?![^\W_])"
_TYPE = r"(?:lp)?ddr\d\w*(?:[- ]\d{4})?"
_SYSTEM = (
    rf"(?:system|host|main|pc)?[\s-]*(?:{_TYPE}(?:\s*e?cc)?(?:\s*ram)?|(?:system|host)\s*memory|s?ram|arbeitsspeicher"
    r"|mémoire vive|memoria ram|内存|メモリ|оперативк\w+|озу)"
)
#: Kind -> parts that a name does not state: memory of the computer, power, links, a count's sign without its number; the
#: engine, the effort of reasoning, the length of the context, and what was done to a model without change of its shape.
_PARTS: Mapping[str, re.Pattern[str]] = {
    "gpu": re.compile(
        rf"(?<![^\W_]){_AMOUNT}\s*(?:of\s+|de\s+|di\s+)?{_SYSTEM}(?![^\W_])|(?<![^\W_]){_SYSTEM}[\s:]*{_AMOUNT}"
        rf"|[+,/&]\s*{_AMOUNT}\s*$|\(?(?<![^\W_]){_AMOUNT}\s*(?:in )?(?:total|insgesamt|combined)\)?"
        rf"|@?\s*(?<![^\W_])\d{{2,3}}\s*w(?:atts?|att)?(?![^\W_])"
        r"|(?<![^\W_])pcie?\s*\d?(?:\.0)?\s*x\d{1,2}(?![^\W_])"
        rf"|(?<=\d)\s?[x×]$|{_TOTAL}",
        re.I,
    ),
    "model": re.compile(
        rf"\(?(?<![^\W_])(?:(?:by|from|von|par|de|da)\s+)?(?:{_PACKERS})(?:['’]s)?(?![^\W_])\)?|(?<=mlx)[ -]community(?![^\W_])|"
        r"(?<![^\W_])(?:on|in|with|using|via|mit|unter|im|avec|con|com)\s+(?:an?\s+)?(?:vllm|ollama|llama[ .-]?cpp|lm[ -]?studio"
        r"|sglang|tensorrt(?:-llm)?|exllama(?:v[23])?|koboldcpp|transformers|tgi|aphrodite|ktransformers)(?![^\W_])"
        r"|(?<![^\W_])(?:for|für|para|pour|per|для)\s+\w+(?:\s+\w+)?$"
        r"|(?<![^\W_])(?:abliterated|uncensored|decensored|derestricted|heretic|fine-?tuned?|lora)(?![^\W_])"
        r"|\((?:low|medium|high|xhigh|max)(?:\s+(?:reasoning|thinking|effort))*\)$"
        r"|\((?:(?:reasoning|thinking|effort)[\s:=]+)+(?:low|medium|high|xhigh|max)\)$"
        r"|^(?:tabbyapi|exllama(?:v[23])?|koboldcpp|nexa(?: ?sdk)?|oobabooga|(?:ik_)?llama[. ]?cpp|ik_llama|vllm|sglang|lm ?studio"
        r"|ktransformers)\s"
        r"|(?<![^\W_])(?:low|high|xhigh)(?:\s+(?:reasoning|thinking|effort))*$"
        rf"|(?<![^\W_]){_AMOUNT}"
        r"|(?<![^\W_])\d+k?\s*(?:tokens?\s*)?(?:of\s+|de\s+)?(?:context|ctx|kontext|contexte|contexto|contesto|上下文)(?![^\W_])"
        r"|(?<![^\W_])(?:context|ctx|kontext|contexte|contexto|上下文)\s*(?:of|size|length|=|:)?\s*\d+k?(?![^\W_])"
        r"|(?<=[\s_-])(?:\d{2,4}k|1m)(?![^\W_])|(?<![^\W_])preview(?![^\W_])",
        re.I,
    ),
}
#: Words of writing that no name of a model has.
_FOREIGN = re.compile(r"(?<!^)[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3а-яё]+", re.I)
#: Memory of a chip that shares it with the processor is its own.
_SYSTEM_WORD = re.compile(rf"(?P<amount>{_AMOUNT})\s*{_SYSTEM}(?![^\W_])", re.I)
_FORMS = re.compile(
    r"(?<![^\W_])(?:(?:mini[- ]?)?pc|computer|rechner|ordinateur|server|workstation pc)(?![^\W_])", re.I
)
#: Several parts of a name in parentheses, as in "Mac mini (2023, M2 Pro, 32GB)", or the end of them.
_ENCLOSED = re.compile(r"\((?P<inner>[^()]*[^\W_]{2}[^()]*)\)")
_EDGES = "+,;/&@|?!- "
#: Letters and digits of writing that has gaps between words.
_SPACED = "0-9a-zà-ɏа-яё가-힣"


def _patterns(kind: str) -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(rf"(?<![{_SPACED}])(?:{words})(?![{_SPACED}])", re.I), f" {standing} ")
        for standing, words in _WORDS[kind].items()
    ]


_PATTERNS = {kind: _patterns(kind) for kind in _WORDS}


def without_remarks(kind: str, text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The text without words around the name; then without the parts, too, that it states and no name does, beside them.
    Nothing of other kinds."""
    if kind not in _WORDS:
        return
    parts = tuple(match.group().strip(_EDGES) for match in _PARTS[kind].finditer(text))
    whole = _without_words(kind, _SYSTEM_WORD.sub(r"\g<amount>", text) if kind == "gpu" else text)
    yield from ((bare, ()) for bare in _without_forms(kind, whole))
    rest = _without_words(kind, _PARTS[kind].sub(" ", text)) if parts else whole
    if kind == "model" and re.search("[a-z]{2}", rest, re.I):
        parts += tuple(_FOREIGN.findall(rest))
        rest = _without_words(kind, _FOREIGN.sub(" ", rest))
    if parts:
        yield from ((bare, parts) for bare in _without_forms(kind, rest))


def totals(parts: Sequence[str]) -> list[float]:
    """Amounts in GB that parts of a text state of the memory of all accelerators."""
    stated = (match.group() for part in parts for match in re.finditer(_TOTAL, part, re.I))
    return [float(re.findall(r"\d+(?:\.\d+)?", amount)[0]) for amount in stated]


def set_off(kind: str, text: str) -> list[tuple[str, tuple[str, ...]]]:
    """The one part of a sentence on models that states a number, between words of grammar; and the other parts."""
    phrases = (
        [part for part in (part.strip(_EDGES) for part in _SET_OFF.split(text)) if part] if kind == "model" else []
    )
    named = [part for part in phrases if any(map(str.isdigit, part))]
    return [(named[0], tuple(part for part in phrases if part != named[0]))] if len(named) == 1 < len(phrases) else []


def _without_forms(kind: str, text: str) -> Iterator[str]:
    """The text, and without the forms of computers, some of which are words of accelerators."""
    yield text
    if kind == "gpu" and (bare := " ".join(_FORMS.sub(" ", text).split()).strip(_EDGES)) != text:
        yield bare


def _without_words(kind: str, text: str) -> str:
    bare = _SCRIPTS.sub(" ", text)
    if kind == "gpu":
        bare = _COUNTED.sub(r"\1x ", bare)
    elif bare.count("/") > 1:
        bare = bare.replace("/", " ")
    bare = _ENCLOSED.sub(
        lambda match: f" {match['inner'].replace(',', ' ') if kind == 'model' else match['inner']} ", bare
    )
    for pattern, standing in _PATTERNS[kind]:
        bare = pattern.sub(standing, bare)
    return " ".join(bare.split()).strip(_EDGES)
