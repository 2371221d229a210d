"""Folders of sentence-transformers: modules that run code, lead outside or are not known."""

from pathlib import Path
from typing import Any

from tests.hostile.case import Case, Wanted, Works, refused
from tests.hostile.models import Change, model
from tests.support.model_folders import write_json

OURS = "sentence_transformers.models."


def module(name: str, path: object = "") -> dict[str, object]:
    type_ = OURS + name
    return {"idx": 0, "name": "0", "path": path, "type": type_}


def modules(*listed: object, **files: Any) -> Change:
    """List modules; `files` are JSON files by names whose `__` is a dot."""

    def change(folder: Path) -> None:
        write_json(folder / "modules.json", listed[0] if files.pop("bare", False) else listed)
        for name, content in files.items():
            write_json(folder / name.replace("__", "."), content)

    return change


TRANSFORMER = module("Transformer")
USE = "config_sentence_transformers__json"
SETTINGS = "sentence_bert_config__json"
CODE = {
    "a class of its own": "evil.Model",
    "a class of a near name": "sentence_transformers_evil.models.Transformer",
    "os.system": "os.system",
    "a module of Python": "builtins.eval",
    "a class without a package": "Transformer",
    "another package behind": "x.sentence_transformers.models.Transformer",
    "no class": "",
}
OUTSIDE = ("..", "../..", "/etc", "a/../../b", "\0", "0_x/../..", "//etc")
NO_LIST: dict[str, Any] = {
    "an object": {"0": TRANSFORMER},
    "a string": "Transformer",
    "a list of strings": ["Transformer"],
    "a list of null": [None],
    "a path of a number": [module("Transformer", 5)],
    "a type of a list": [{"path": "", "type": [OURS]}],
    "no type": [{"path": ""}],
}
UNSUPPORTED: dict[str, Change] = {
    "a sparse encoder": modules(TRANSFORMER, **{USE: {"model_type": "SparseEncoder"}}),
    "a multi-vector encoder": modules(TRANSFORMER, **{USE: {"model_type": "MultiVectorEncoder"}}),
    "a model type of no name": modules(TRANSFORMER, **{USE: {"model_type": ["x"]}}),
    "an image encoder": modules(module("CLIPModel")),
    "a bag of words": modules(module("BoW")),
    "a pooling first": modules(module("Pooling"), TRANSFORMER),
    "two transformers": modules(TRANSFORMER, TRANSFORMER),
    "an LSTM behind": modules(TRANSFORMER, module("LSTM", "1_LSTM")),
    "a thousand poolings": modules(TRANSFORMER, *[module("Pooling")] * 1000),
    "another task": modules(TRANSFORMER, **{SETTINGS: {"transformer_task": "fill-mask"}}),
}
INVALID: dict[str, Change] = {
    "texts cut at no token": modules(
        TRANSFORMER, module("Pooling"), **{SETTINGS: {"max_seq_length": 0}}
    ),
    "texts cut at a string": modules(
        TRANSFORMER, module("Pooling"), **{SETTINGS: {"max_seq_length": "8"}}
    ),
    "settings of a list": modules(TRANSFORMER, module("Pooling"), **{SETTINGS: [1]}),
    "prompts of a list": modules(TRANSFORMER, module("Pooling"), **{USE: {"prompts": ["x"]}}),
    "a default prompt of none": modules(
        TRANSFORMER, module("Pooling"), **{USE: {"default_prompt_name": "x"}}
    ),
    "a default prompt of a list": modules(
        TRANSFORMER, module("Pooling"), **{USE: {"default_prompt_name": ["x"]}}
    ),
    "a transformer elsewhere": modules(module("Transformer", "0_Transformer")),
    "a transformer in a file": modules(module("Transformer", "config.json")),
    "a path of 5,000 characters": modules(module("Transformer", "a" * 5000)),
}
WORKS: dict[str, Change] = {
    "prompts that are scripts": modules(
        TRANSFORMER, module("Pooling"), **{USE: {"prompts": {"<script>": "'; --"}}}
    ),
    "prompts of numbers": modules(TRANSFORMER, module("Pooling"), **{USE: {"prompts": {"a": 5}}}),
}


def cases(kind: dict[str, Change], wanted: Wanted) -> list[Case]:
    return [
        model(f"sentence-transformers: {name}", change, wanted) for name, change in kind.items()
    ]


CASES: list[Case] = [
    *(
        model(
            f"sentence-transformers: {name}",
            modules({"path": "", "type": type_}),
            refused("remote_code_refused"),
        )
        for name, type_ in CODE.items()
    ),
    *(
        model(
            f"sentence-transformers: a module in {path[:20]!r}",
            modules(TRANSFORMER, module("Pooling", path)),
            refused("invalid_model"),
        )
        for path in OUTSIDE
    ),
    *(
        model(
            f"sentence-transformers: modules of {name}",
            modules(content, bare=True),
            refused("invalid_model"),
        )
        for name, content in NO_LIST.items()
    ),
    *cases(UNSUPPORTED, refused("unsupported_model")),
    *cases(INVALID, refused("invalid_model")),
    *cases(WORKS, Works(202)),
]
