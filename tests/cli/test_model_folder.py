"""`--model` that is a folder of this machine."""

import os
from pathlib import Path

import pytest
import typer

from app.base_models.catalog import PACKAGED_ID, check_submission, locate
from app.cli.served_folder import served
from app.settings import Settings
from fvt_client.cli.model_folder import ModelFolder, model_folder, safe_name
from tests.support.commands import fvt
from tests.support.sound_model import make_sound
from tests.support.tiny_models import make_base_model, texts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_sound(tmp_path / "models of mine" / "My model (v2)")


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("tiny-bert", "tiny-bert"),
        ("My model (v2)", "My-model-v2"),
        ("a--b", "a-b"),
        ("..x..y..", "x.y"),
        ("-a-", "a"),
        ("été", "t"),
        ("数据", "model"),
        ("m.git", "m"),
        ("m.git.git", "m"),
        ("x" * 300, "x" * 96),
        ("", "model"),
        ("a/b", "a-b"),
    ],
)
def test_a_folder_gets_the_id_of_a_model(tmp_path: Path, name: str, id_: str) -> None:
    assert safe_name(name) == id_
    settings = Settings(models_dir=tmp_path, hub=False, auth="off")
    make_sound(tmp_path / id_)
    assert check_submission(id_, settings)


def test_a_folder_is_served_by_links_under_its_name(folder: Path, tmp_path: Path) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "1_Pooling" / "deep").mkdir()
    (folder / ".git").mkdir()
    os.mkfifo(folder / "pipe")
    for given in (str(folder), "./models of mine/My model (v2)", "models of mine/My model (v2)"):
        assert model_folder(given, None) == ModelFolder("My-model-v2", folder)
    found = ModelFolder("My-model-v2", folder)
    with served(found, tmp_path / "data") as models_dir:
        settings = Settings(models_dir=models_dir, hub=False, auth="off")
        located = locate(found.id, None, settings)
        assert located.source == "local"
        names = sorted(p.relative_to(located.path).as_posix() for p in located.path.rglob("*"))
        assert names == [
            *("1_Pooling", "1_Pooling/config.json", "config.json", "model.safetensors"),
            *("tokenizer.json", "tokenizer_config.json"),
        ]
    assert list((tmp_path / "data").iterdir()) == []
    assert (folder / "model.safetensors").is_file()


def test_a_link_to_a_folder_is_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    found = model_folder("./link", None)
    assert found
    assert found.path == folder


def test_an_id_stays_an_id(folder: Path) -> None:
    assert folder
    assert model_folder(PACKAGED_ID, None) is None
    assert model_folder("org/none", "http://x") is None
    # A service takes an id, even where a folder of this name is here.
    assert model_folder("models of mine/My model (v2)", "http://x") is None


@pytest.mark.parametrize(
    ("model", "url", "says"),
    [
        ("./none", None, "no folder"),
        ("/nowhere/at/all", None, "no folder"),
        ("~/none-of-these", None, "no folder"),
        ("./models of mine", None, "no config.json"),
        ("./models of mine/My model (v2)/config.json", None, "is a file"),
        ("./models of mine/My model (v2)", "http://far:8000", "FVT_MODELS_DIR of http://far:8000"),
        ("/srv/model", "http://far:8000", "leave out --url"),
        (".\\model", "http://far:8000", "names alone"),
    ],
)
def test_what_is_no_folder_of_a_model(folder: Path, model: str, url: str | None, says: str) -> None:
    assert folder
    with pytest.raises(typer.BadParameter, match=says.replace(".", r"\.")):
        model_folder(model, url)


def test_the_command_refuses_before_it_does_anything(folder: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("a text\n")
    fixed = ("--corpus", corpus, "--out", tmp_path / "new")
    refused = fvt("compress", "--model", folder, *fixed, "--url", "http://127.0.0.1:9")
    assert refused.returncode == 2
    assert "FVT_MODELS_DIR" in refused.stderr
    refused = fvt("compress", "--model", tmp_path / "none", *fixed)
    assert refused.returncode == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_folder_is_compressed(tmp_path: Path) -> None:
    folder = make_base_model(tmp_path / "My model")
    corpus, recipe = tmp_path / "corpus.txt", tmp_path / "recipe.json"
    corpus.write_text("\n".join(texts(800)))
    recipe.write_text('{"evaluation": {"latency": false}, "recovery": {"objective": "none"}}')
    target = tmp_path / "out" / "small"
    files = ("--corpus", corpus, "--out", target, "--recipe", recipe)
    done = fvt("compress", "--model", folder, *files)
    assert done.returncode == 0, done.stderr
    assert (target / "model.safetensors").is_file()
    assert list(target.parent.iterdir()) == [target]
