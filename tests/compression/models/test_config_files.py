"""Config files that transformers 4 and 5 read alike; tests/compression/versions runs both."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, LlamaConfig

from tests.support.matrix_models import KINDS, deep
from tests.support.matrix_tokenizers import DOMAIN, sentences, tokenizer_pair
from worker.compression import load_model, save_model, train_tokenizer, transfer_vocabulary
from worker.compression.models.config_files import older_rope_keys
from worker.compression.models.layers import drop_layers

BY_TYPE = {kind.model_type: kind for kind in reversed(KINDS)}
TEXTS = sentences(DOMAIN, 1)


def base_folder(folder: Path, model_type: str, **more: Any) -> Path:
    """A base as transformers saves it."""
    kind = BY_TYPE[model_type]
    tokenizer, _ = tokenizer_pair(kind.family)
    kind.make(kind.classes[0], tokenizer, **more).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def read(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))
    return content


def change(folder: Path, name: str, **settings: Any) -> None:
    (folder / name).write_text(json.dumps(read(folder, name) | settings), "utf-8")


def compress(base: Path, folder: Path, layers: int | None = None) -> Path:
    loaded = load_model(base)
    domain = train_tokenizer(loaded.tokenizer, lambda: TEXTS, len(loaded.tokenizer) * 9 // 10)
    model = transfer_vocabulary(loaded.model, loaded.tokenizer, domain).model
    save_model(folder, drop_layers(model, layers) if layers else model, domain, base)
    return folder


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("TokenizersBackend", "PreTrainedTokenizerFast"),
        ("Qwen3_5Tokenizer", "PreTrainedTokenizerFast"),
        ("PreTrainedTokenizerFast", "PreTrainedTokenizerFast"),
        ("LlamaTokenizerFast", "LlamaTokenizerFast"),
        (None, None),
    ],
)
def test_the_class_of_the_tokenizer(said: str | None, expected: str | None, tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "bert")
    compress(base, tmp_path / "done")
    change(base, "tokenizer_config.json", tokenizer_class=said)
    model = load_model(tmp_path / "done")
    save_model(tmp_path / "done", model.model, model.tokenizer, base)
    assert read(tmp_path / "done", "tokenizer_config.json")["tokenizer_class"] == expected


def test_a_class_that_is_not_said_stays_so(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "bert")
    content = read(base, "tokenizer_config.json")
    del content["tokenizer_class"]
    (base / "tokenizer_config.json").write_text(json.dumps(content))
    model = load_model(base)
    save_model(tmp_path / "done", model.model, model.tokenizer, base)
    assert "tokenizer_class" not in read(tmp_path / "done", "tokenizer_config.json")


def test_extra_tokens_are_under_the_name_that_both_read(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "llama")
    assert isinstance(read(base, "tokenizer_config.json")["extra_special_tokens"], list)
    settings = read(compress(base, tmp_path / "done"), "tokenizer_config.json")
    assert "extra_special_tokens" not in settings
    assert settings["additional_special_tokens"] == ["<extra_id_0>", "<extra_id_1>"]
    loaded: Any = AutoTokenizer.from_pretrained(tmp_path / "done")
    assert loaded.extra_special_tokens == ["<extra_id_0>", "<extra_id_1>"]


def test_ids_of_the_older_files_are_moved(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "bert")
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    decoder = {str(i): t.__getstate__() for i, t in tokenizer.added_tokens_decoder.items()}
    change(base, "tokenizer_config.json", added_tokens_decoder=decoder)
    (base / "added_tokens.json").write_text(json.dumps({"<mask>": 459}))
    (base / "special_tokens_map.json").write_text(json.dumps({"mask_token": "<mask>"}))
    (base / "vocab.txt").write_text("")
    done = compress(base, tmp_path / "done")
    ids = load_model(done).tokenizer.get_vocab()
    moved = read(done, "tokenizer_config.json")["added_tokens_decoder"]
    assert {t["content"]: int(i) for i, t in moved.items()} == {
        t["content"]: ids[t["content"]] for t in decoder.values()
    }
    assert read(done, "added_tokens.json") == {"<mask>": ids["<mask>"]}
    assert read(done, "special_tokens_map.json") == {"mask_token": "<mask>"}
    written = (done / "vocab.txt").read_text("utf-8").splitlines()
    assert [ids[token] for token in written] == list(range(len(written)))


def test_what_the_base_says_of_its_layers_is_said_of_fewer(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "distilbert", **deep(BY_TYPE["distilbert"]))
    change(base, "config.json", num_hidden_layers=5, torch_dtype="float16", output_past=True)
    config = read(compress(base, tmp_path / "done", layers=2), "config.json")
    assert (config["n_layers"], config["num_hidden_layers"]) == (2, 2)
    assert (config["dtype"], config["torch_dtype"]) == ("float32", "float32")
    assert config["output_past"] is True
    assert load_model(tmp_path / "done").model.config.num_hidden_layers == 2


def test_ids_that_only_the_config_says_are_moved(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "bart")
    change(base, "config.json", forced_bos_token_id=0, forced_eos_token_id=2)
    config = read(compress(base, tmp_path / "done"), "config.json")
    generation = read(tmp_path / "done", "generation_config.json")
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        assert config[name] == generation.get(name)


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 32}


@pytest.mark.parametrize(
    ("model_type", "parameters", "expected"),
    [
        ("llama", {"rope_type": "default", "rope_theta": 5e5}, {"rope_theta": 5e5}),
        ("llama", LLAMA3 | {"rope_theta": 2.0}, {"rope_theta": 2.0, "rope_scaling": LLAMA3}),
        (
            "gpt_neox",
            {"rope_type": "default", "rope_theta": 3.0, "partial_rotary_factor": 0.25},
            {"rotary_emb_base": 3.0, "rotary_pct": 0.25},
        ),
        (
            "gemma3_text",
            {
                "full_attention": {"rope_type": "default", "rope_theta": 7.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 5.0},
            },
            {"rope_theta": 7.0, "rope_local_base_freq": 5.0},
        ),
        (
            "modernbert",
            {
                "full_attention": {"rope_type": "default", "rope_theta": 7.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 5.0},
            },
            {"global_rope_theta": 7.0, "local_rope_theta": 5.0},
        ),
        (
            "phi3",
            {
                "rope_type": "longrope",
                "rope_theta": 7.0,
                "partial_rotary_factor": 0.5,
                "short_factor": [1.0],
                "long_factor": [2.0],
                "original_max_position_embeddings": 32,
            },
            {
                "rope_theta": 7.0,
                "partial_rotary_factor": 0.5,
                "original_max_position_embeddings": 32,
                "rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": [2.0]},
            },
        ),
    ],
)
def test_rotary_embeddings_have_their_older_keys(
    model_type: str, parameters: dict[str, Any], expected: dict[str, Any]
) -> None:
    older = older_rope_keys({"model_type": model_type, "rope_parameters": parameters})
    assert older == {"rope_scaling": None, **expected}


@settings(max_examples=30)
@given(theta=st.floats(1.0, 1e7), factor=st.none() | st.floats(1.0, 16.0))
def test_the_older_keys_alone_say_the_same(theta: float, factor: float | None) -> None:
    scaling = {} if factor is None else {"rope_type": "linear", "factor": factor}
    parameters = {"rope_type": "default", "rope_theta": theta, **scaling}
    config = LlamaConfig(rope_parameters=parameters).to_dict()
    older = older_rope_keys(config)
    again = LlamaConfig(**older)
    assert again.rope_parameters == config["rope_parameters"]
