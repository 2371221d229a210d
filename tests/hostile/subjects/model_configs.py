"""Configs and tokenizers that no module can be built from, or that cost more than they say."""

from typing import Any

from tests.hostile.case import Case, Works, refused
from tests.hostile.models import config, model, tokenizer_of, tokenizer_settings
from tests.support.model_faults import ABSURD, MODEL, REST, SETTINGS, VALUES

FAULT = refused("invalid_model")
TOKENIZER_FAULT = refused("invalid_model", "unsupported_model")


def of_model(change: Any) -> Any:
    return tokenizer_of(lambda content: change(content["model"]))


def _named(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {str(value)[:30]}" for name, value in values.items())


MORE: dict[str, Any] = {
    "hidden_size": [2**63, 10**30, "8; rm -rf", [8], {"a": 8}],
    "num_hidden_layers": [-1, 10**30, True],
    "max_position_embeddings": [0, -16, 10**30],
    "layer_norm_eps": [float("inf"), -1, "1e-12", [1]],
    "id2label": [{"-1": "a"}, {"1.5": "a"}, "no", {"\u0661": "a"}],
    "torch_dtype": ["", "os.system", "torch.nothing", ["float32"]],
    "eos_token_id": [2**31, "2", [None], -2, 1.5],
    "tie_word_embeddings": ["no", [], 2],
}
ODD_BUT_SOUND: dict[str, Any] = {
    "an unknown field": {"nothing": {"x": [1] * 100}},
    "a field of code": {"custom_code": "import os; os.system('reboot')"},
    "a name of a path": {"_name_or_path": "/etc/passwd"},
    "a name of an address": {"_name_or_path": "http://169.254.169.254/"},
    "a version of the future": {"transformers_version": "99.0"},
    "labels that are scripts": {"id2label": {"0": "<script>", "1": "'; --", "2": "\u202e"}},
}
DEEP: dict[str, Any] = {"x": 1}
for _ in range(300):
    DEEP = {"x": DEEP}
CASES: list[Case] = [
    *(model(f"config {n}: {_named(c)}", config(**c), FAULT) for n, c in enumerate(ABSURD)),
    *(model(f"config value {n}: {_named(c)}", config(**c), FAULT) for n, c in enumerate(VALUES)),
    *(
        model(f"config more {n}: {name} = {str(value)[:30]}", config(**{name: value}), FAULT)
        for name, values in MORE.items()
        for n, value in enumerate(values)
    ),
    *(model(f"config with {name}", config(**c), Works(202)) for name, c in ODD_BUT_SOUND.items()),
    model("config with 300 levels", config(nothing=DEEP), Works(202)),
    *(
        model(f"tokenizer, model: {name}", of_model(c), TOKENIZER_FAULT)
        for name, c in MODEL.items()
    ),
    *(model(f"tokenizer: {name}", tokenizer_of(c), FAULT) for name, c in REST.items()),
    *(
        model(f"tokenizer_config {n}: {_named(c)}", tokenizer_settings(**c), FAULT)
        for n, c in enumerate(SETTINGS)
    ),
    model(
        "an encoder-decoder to be exported",
        config(model_type="t5"),
        refused("export_unsupported"),
        export={"onnx": True},
    ),
    model(
        "tokenizer of an unknown kind",
        of_model(lambda content: content.update(type="Frob")),
        TOKENIZER_FAULT,
    ),
    model("tokenizer without a vocabulary", of_model(lambda c: c.pop("vocab")), FAULT),
    model("tokenizer of no token", of_model(lambda c: c.update(vocab={})), FAULT),
    model(
        "tokenizer of another model",
        of_model(lambda c: c.update(vocab={f"t{n}": n for n in range(35)}, unk_token="t0")),
        Works(202),
    ),
    model(
        "tokenizer of 100,000 added tokens",
        tokenizer_of(
            lambda c: c["added_tokens"].extend(
                {"id": 30, "content": f"<{n}>"} for n in range(100_000)
            )
        ),
        FAULT,
    ),
    model(
        "tokenizer of 3,000 merges of nothing",
        of_model(lambda c: c.update(type="BPE", merges=["x y"] * 3000)),
        TOKENIZER_FAULT,
    ),
    model(
        "tokenizer of an expression of 100,000 parentheses",
        tokenizer_of(
            lambda c: c.update(
                pre_tokenizer={
                    "type": "Split",
                    "pattern": {"Regex": "(" * 100_000},
                    "behavior": "Isolated",
                }
            )
        ),
        FAULT,
    ),
]
