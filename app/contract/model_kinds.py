"""Decide what a model is, what its output is and how text reaches it, from the files of its folder.

Everything that asks these questions asks here: the checks of a submission, loading, recovery,
metrics, tasks, exports and the model card. Files are read by whoever asks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from .errors import UserFault

Role = Literal["sentence_encoder", "cross_encoder", "classifier", "language_model", "encoder"]
"""The use of a model: it makes vectors of texts, scores of pairs of texts, labels of texts, text,
or hidden states."""
Library = Literal["sentence-transformers", "transformers"]
ReadJson = Callable[[str], Any]
"""Returns the content of a JSON file by its path in the model's folder; None where there is none.
"""

MODULES = "modules.json"
SENTENCE_TRANSFORMERS = "config_sentence_transformers.json"
CONFIG = "config.json"
# sentence-transformers reads the first of them that is there.
TRANSFORMER_SETTINGS = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
AFTER_POOLING = ("Dense", "LayerNorm", "Normalize", "Dropout")
"""Modules of sentence-transformers that may follow the pooling."""
_CLASSIFIER = "ForSequenceClassification"
_LANGUAGE_MODELS = (
    "ForMaskedLM",
    "ForPreTraining",
    "WithLMHead",
    "ForCausalLM",
    "LMHeadModel",
    "ForConditionalGeneration",
)
_OTHER_USES = {
    "SparseEncoder": "a sparse encoder, such as SPLADE: its vectors have an entry a token",
    "MultiVectorEncoder": "a multi-vector encoder, such as ColBERT: it makes a vector a token",
}
# What of the tokenizer a folder of sentence-transformers may set anew.
_TOKENIZER_SETTINGS = ("model_max_length", "padding_side", "truncation_side", "do_lower_case")
_PIPELINES: dict[Role, str] = {
    "sentence_encoder": "sentence-similarity",
    "cross_encoder": "text-ranking",
    "classifier": "text-classification",
}


@dataclass(frozen=True)
class Module:
    """Name a module of sentence-transformers by its class and its path in the folder."""

    name: str
    path: str


@dataclass(frozen=True)
class ModelKind:
    """Say what a model is and how it reads text.

    Attributes:
        role: what it is used for.
        library: what its folder is loaded with.
        transformer: path of the config, the tokenizer and the weights in the folder, often "".
        modules: what follows the transformer in sentence-transformers, in order.
        prompts: texts that are put before a text, by name.
        default_prompt: the one that is put before every text, "" for none.
        max_length: tokens where texts are cut, None where the tokenizer and the model say it.
        lower_case: true where texts are lower-cased before the tokenizer's own normalization.
        tokenizer_settings: arguments that the tokenizer is loaded with.

    """

    role: Role
    library: Library = "transformers"
    transformer: str = ""
    modules: tuple[Module, ...] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    max_length: int | None = None
    lower_case: bool = False
    tokenizer_settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pipeline(self) -> str | None:
        """Return the model hub's name of the use; None where the hub is to find it itself."""
        return _PIPELINES.get(self.role)

    def prompt_for(self, *names: str) -> str:
        """Return the first prompt there is of some names, "" where there is none."""
        return next((self.prompts[name] for name in names if self.prompts.get(name)), "")


def decide_kind(read: ReadJson) -> ModelKind:
    """Decide what the model of a folder is.

    Raises:
        UserFault: `unsupported_model` for a use or a module that cannot be compressed, by name;
            `remote_code_refused` for a module of the folder's own; `invalid_model`.

    """
    listed = read(MODULES)
    if listed is None:
        config = _object(read(CONFIG), CONFIG)
        role = _role_of(config)
        # Cross-encoders had no list of modules before sentence-transformers 5.
        is_cross_encoder = role == "cross_encoder"
        return ModelKind(role, "sentence-transformers" if is_cross_encoder else "transformers")
    return _sentence_transformers_kind(_read_modules(listed), read)


def _sentence_transformers_kind(modules: Sequence[Module], read: ReadJson) -> ModelKind:
    use = _object(read(SENTENCE_TRANSFORMERS), SENTENCE_TRANSFORMERS)
    model_type = use.get("model_type") or "SentenceTransformer"
    # A tuple, since the value may be one that no set can look up, such as a list.
    if model_type not in ("SentenceTransformer", "CrossEncoder"):
        why = _OTHER_USES.get(str(model_type), f"a {str(model_type)[:80]} of sentence-transformers")
        raise _unsupported(f"It is {why}")
    first, *rest = modules or [Module("Transformer", "")]
    if first.name != "Transformer":
        raise _unsupported(f"`{MODULES}` begins with {first.name}, which is no Transformer")
    settings = _first_settings(first.path, read)
    config = _object(read(join(first.path, CONFIG)), CONFIG)
    is_cross_encoder = model_type == "CrossEncoder"
    if is_cross_encoder:
        _check_cross_encoder(config, rest, settings)
    else:
        _check_sentence_encoder(rest, settings)
    prompts = {
        str(name): prompt
        for name, prompt in _object(use.get("prompts"), SENTENCE_TRANSFORMERS).items()
        if isinstance(prompt, str)
    }
    tokenizer_settings = _tokenizer_settings(settings)
    return ModelKind(
        role="cross_encoder" if is_cross_encoder else "sentence_encoder",
        library="sentence-transformers",
        transformer=first.path,
        modules=tuple(rest),
        prompts=prompts,
        default_prompt=_default_prompt(use, prompts),
        max_length=_max_length(settings, tokenizer_settings),
        lower_case=bool(settings.get("do_lower_case")),
        tokenizer_settings=tokenizer_settings,
    )


def _role_of(config: Mapping[str, Any]) -> Role:
    """Return the role of a folder of transformers, by the class that wrote it."""
    name = _class_of(config)
    if name.endswith(_CLASSIFIER):
        return "cross_encoder" if _is_cross_encoder(config) else "classifier"
    return "language_model" if name.endswith(_LANGUAGE_MODELS) else "encoder"


def _is_cross_encoder(config: Mapping[str, Any]) -> bool:
    """Tell by what sentence-transformers left in the config, or by there being one score."""
    marks = "sentence_transformers", "sbert_ce_default_activation_function"
    labels = config.get("id2label")
    count = len(labels) if isinstance(labels, Mapping) else config.get("num_labels")
    return any(config.get(mark) for mark in marks) or count == 1


def _check_sentence_encoder(modules: Sequence[Module], settings: Mapping[str, Any]) -> None:
    task = settings.get("transformer_task", "feature-extraction")
    if task != "feature-extraction":
        raise _unsupported(f"Its transformer does {str(task)[:80]}, not feature-extraction")
    for place, module in enumerate(modules):
        expected = ("Pooling",) if place == 0 else AFTER_POOLING
        if module.name not in expected:
            raise _unsupported(
                f"`{MODULES}` names {module.name[:80]} as module {place + 1}, where only "
                f"{', '.join(expected)} can be read"
            )
    modalities = settings.get("modality_config")
    if isinstance(modalities, Mapping) and "message" in modalities:
        raise _unsupported("Its texts are put into a chat template (`modality_config`)")


def _check_cross_encoder(
    config: Mapping[str, Any], modules: Sequence[Module], settings: Mapping[str, Any]
) -> None:
    if modules:
        raise _unsupported(
            f"It is a cross-encoder with the module {modules[0].name[:80]}; cross-encoders are "
            "read with a head for sequence classification alone"
        )
    name, task = _class_of(config), settings.get("transformer_task", "sequence-classification")
    if not name.endswith(_CLASSIFIER) or task != "sequence-classification":
        raise _unsupported(
            f"It is a cross-encoder of the class {name[:80]}; cross-encoders are read with a head "
            "for sequence classification alone"
        )


def _class_of(config: Mapping[str, Any]) -> str:
    """Return the name of the class that wrote a model, "" where the config has none."""
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def _read_modules(listed: Any) -> list[Module]:
    modules = []
    for module in listed if isinstance(listed, list) else [None]:
        named = module if isinstance(module, Mapping) else {}
        path, type_ = named.get("path"), named.get("type")
        if not isinstance(path, str) or not isinstance(type_, str):
            raise _invalid(f"{MODULES} is no list of modules with `path` and `type`")
        check_inside(path)
        package, _, name = type_.rpartition(".")
        if package.partition(".")[0] != "sentence_transformers":
            raise UserFault(
                "remote_code_refused",
                f"`{MODULES}` names the module {type_[:80]!r}, code of the model's own, which is "
                "never run. Choose a model of sentence-transformers' own modules.",
            )
        modules.append(Module(name, str(PurePosixPath(path)) if path else ""))
    return modules


def check_inside(path: str) -> None:
    """Refuse a module's path that leads out of the model's folder."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise _invalid(f"{MODULES} names {path[:80]!r}, a folder outside of the model")


def join(folder: str, name: str) -> str:
    """Return the path of a file in one of the model's folders."""
    return f"{folder}/{name}" if folder else name


def _first_settings(folder: str, read: ReadJson) -> Mapping[str, Any]:
    contents = (_object(read(join(folder, name)), name) for name in TRANSFORMER_SETTINGS)
    return next((content for content in contents if content), {})


def _tokenizer_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    given = settings.get("processor_kwargs") or settings.get("tokenizer_args")
    given = _object(given, TRANSFORMER_SETTINGS[0])
    return {name: given[name] for name in _TOKENIZER_SETTINGS if name in given}


def _max_length(settings: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> int | None:
    processing = settings.get("processing_kwargs")
    text = processing.get("text") if isinstance(processing, Mapping) else None
    in_call = text.get("max_length") if isinstance(text, Mapping) else None
    length = settings.get("max_seq_length")
    for asked in (in_call, tokenizer.get("model_max_length"), length):
        if asked is not None:
            if not isinstance(asked, int) or asked < 1:
                raise _invalid(f"it cuts texts at {str(asked)[:80]!r} tokens")
            return asked
    return None


def _default_prompt(use: Mapping[str, Any], prompts: Mapping[str, str]) -> str:
    name = use.get("default_prompt_name")
    if name is None:
        return ""
    if not isinstance(name, str) or name not in prompts:
        raise _invalid(f"its default prompt {str(name)[:80]!r} is none of its prompts")
    return prompts[name]


def _object(content: Any, name: str) -> Mapping[str, Any]:
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise _invalid(f"{name} is not a JSON object")
    return content


def _unsupported(why: str) -> UserFault:
    return UserFault(
        "unsupported_model",
        f"{why}, and cannot be compressed in this version. Choose a sentence encoder, a "
        "cross-encoder, or a model of transformers without `modules.json`.",
    )


def _invalid(why: str) -> UserFault:
    return UserFault(
        "invalid_model",
        f"The base model cannot be used: {why}. Save it again with `save_pretrained`, or choose "
        "another.",
    )
