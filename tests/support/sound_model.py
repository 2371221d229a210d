"""A small model folder whose config, weights and tokenizer agree in everything."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.model_folders import write_json

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
ROWS = 40
CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "architectures": ["BertForSequenceClassification"],
    "vocab_size": ROWS,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "pad_token_id": 0,
    "id2label": {"0": "no", "1": "yes", "2": "maybe"},
    "label2id": {"no": 0, "yes": 1, "maybe": 2},
    "dtype": "float32",
}
TOKENIZER_CONFIG: dict[str, Any] = {
    "tokenizer_class": "BertTokenizer",
    "model_max_length": 16,
    "unk_token": "[UNK]",
    "pad_token": {"__type": "AddedToken", "content": "[PAD]"},
    "added_tokens_decoder": {"0": {"content": "[PAD]", "special": True}},
}


def tokenizer() -> dict[str, Any]:
    """A tokenizer.json as the library writes it."""
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    ends = {t: {"id": t, "ids": [TOKENS.index(t)], "tokens": [t]} for t in ("[CLS]", "[SEP]")}
    one = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": i, "content": token, "special": True, **added}
            for i, token in enumerate(TOKENS[:5])
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": one,
            "pair": [*one, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "special_tokens": ends,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {token: i for i, token in enumerate(TOKENS)},
        },
    }


def shapes() -> dict[str, list[int]]:
    """The tensors of the model by name."""
    found = {
        "bert.embeddings.word_embeddings.weight": [ROWS, 8],
        "bert.embeddings.position_embeddings.weight": [16, 8],
        "bert.embeddings.token_type_embeddings.weight": [2, 8],
        "classifier.weight": [3, 8],
    }
    for layer in range(2):
        at = f"bert.encoder.layer.{layer}"
        found |= {f"{at}.intermediate.dense.weight": [12, 8], f"{at}.output.dense.weight": [8, 12]}
    return found


def write_tensors(path: Path, tensors: Mapping[str, list[int]]) -> None:
    header, end = dict[str, Any](), 0
    for name, shape in tensors.items():
        size = 4
        for dimension in shape:
            size *= dimension
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    encoded = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        file.truncate(8 + len(encoded) + end)


def make_sound(folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {**CONFIG, **config})
    write_json(folder / "tokenizer.json", tokenizer())
    write_json(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    write_tensors(folder / "model.safetensors", shapes())
    return folder
