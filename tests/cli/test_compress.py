"""`fvt compress`: what it refuses before it does anything, and the whole way once."""

import json
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer
from typer.testing import CliRunner

from examples.corpus import write_docstrings
from fvt_client.cli.main import cli
from fvt_client.cli.recipes import bytes_of, check_recipe, read_recipe
from tests.support.commands import fvt, runs, start

MODEL = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    sentences = (f"The patient took {n} mg of naproxen before the rash." for n in range(400))
    path.write_text("\n".join(sentences))
    return path


def test_an_output_folder_with_files_is_refused_first(corpus: Path, tmp_path: Path) -> None:
    refused = fvt("compress", "--model", MODEL, "--corpus", corpus, "--out", tmp_path)
    assert refused.returncode == 2
    assert "not an empty folder" in refused.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--vocab-size", "-1"),
        ("--method", "magic"),
        ("--corpus", "absent.txt"),
        ("--corpus", "Makefile"),
    ],
)
def test_usage_errors_exit_with_2(corpus: Path, tmp_path: Path, options: tuple[str, str]) -> None:
    fixed = ("--model", MODEL, "--corpus", corpus, "--out", tmp_path / "new")
    assert fvt("compress", *fixed, *options).returncode == 2


def test_a_service_that_is_away_is_said_so(corpus: Path, tmp_path: Path) -> None:
    fixed = ("--model", MODEL, "--corpus", corpus, "--out", tmp_path / "new")
    refused = fvt("compress", *fixed, "--url", "http://127.0.0.1:9")
    assert refused.returncode == 1
    assert "No answer from http://127.0.0.1:9" in refused.stderr


def options(corpus: Path, target: Path) -> list[str | Path]:
    """A quick job at a service of its own."""
    recipe = corpus.with_name("recipe.json")
    recipe.write_text(
        json.dumps({"evaluation": {"latency": False}, "recovery": {"objective": "none"}})
    )
    files: list[str | Path] = ["--corpus", corpus, "--out", target, "--recipe", recipe]
    return ["compress", "--model", MODEL, "--vocab-size", "2000", *files]


@pytest.mark.slow
def test_compress_leaves_the_model_and_nothing_else(tmp_path: Path) -> None:
    corpus, target = tmp_path / "docstrings.txt", tmp_path / "results" / "small"
    write_docstrings(corpus)
    done = fvt(*options(corpus, target), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["job"]["status"] == "succeeded"
    assert answer["report"]["compressed"]["vocab_size"] == 2000
    assert (target / "model.safetensors").is_file()
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.slow
def test_a_failed_job_says_why_and_leaves_nothing(corpus: Path, tmp_path: Path) -> None:
    target = tmp_path / "results" / "small"
    failed = fvt(*options(corpus, target), "--vocab-size", "20000")
    assert failed.returncode == 3
    assert "upload more text. [corpus_too_small]" in failed.stderr
    assert list(target.parent.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_after_ctrl_c_the_same_command_goes_on(tmp_path: Path) -> None:
    corpus, target = tmp_path / "docstrings.txt", tmp_path / "results" / "small"
    write_docstrings(corpus)
    process = start(*options(corpus, target))
    assert process.stderr is not None
    while not process.stderr.readline().startswith("running"):
        assert process.poll() is None
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert "the same command goes on" in process.communicate(timeout=180)[1]
    assert process.returncode == 130
    assert not any(map(runs, family))
    assert [path.name for path in target.parent.iterdir()] == [".small.fvt"]
    done = start(*options(corpus, target))
    try:
        said = done.communicate(timeout=900)[1]
    finally:
        done.kill()
    assert done.returncode == 0, said
    assert "was made by this same command before" in said
    assert list(target.parent.iterdir()) == [target]


def recipe_with(**options: Any) -> dict[str, Any]:
    recipe = read_recipe(options.pop("file", None), **options)
    check_recipe(recipe, service_knows_more=False)
    return recipe


def test_options_of_a_target_make_one() -> None:
    asked = {"target_bytes": "5MB", "target_ms": 2.5, "min_quality": 0.95, "runtime": "torch"}
    told = {"max_bytes": 5_000_000, "max_ms": 2.5, "min_quality": 0.95, "runtime": "torch"}
    assert recipe_with(**asked) == {"target": told}
    assert recipe_with(runtime="onnx", min_quality=0.9) == {
        "target": {"runtime": "onnx", "min_quality": 0.9}
    }
    # Without a target it stays the gate's.
    assert recipe_with(min_quality=0.95) == {"gate": {"min_quality": 0.95}}


def test_a_quality_beside_the_target_of_a_file_is_the_targets(tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps({"target": {"max_bytes": 9, "min_quality": 0.5}}))
    assert recipe_with(file=file, min_quality=0.9) == {
        "target": {"max_bytes": 9, "min_quality": 0.9}
    }


@pytest.mark.parametrize(
    ("text", "count"),
    [("5000000", 5_000_000), ("5MB", 5_000_000), ("1.5 mb", 1_500_000), ("2MiB", 2 << 20)],
)
def test_bytes_have_units(text: str, count: int) -> None:
    assert bytes_of(text) == count


@pytest.mark.parametrize("text", ["", "MB", "-5MB", "5 TB", "five", "1e6", "5M B", "0x10", "inf"])
def test_what_is_no_number_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="as 5MB or 5000000"):
        bytes_of(text)


def test_more_bytes_than_any_file_has_are_refused_with_the_most() -> None:
    with pytest.raises(typer.BadParameter, match="is too much: give at most 9223372036854775807"):
        bytes_of("99999999999999999999999GB")


def test_a_recipe_of_a_file_holds_no_number_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text('{"target": {"max_ms": NaN}}')
    with pytest.raises(typer.BadParameter, match="'NaN' is no number"):
        recipe_with(file=file)


@pytest.mark.parametrize(
    "options",
    [
        {"runtime": "torch"},
        {"target_bytes": "0MB"},
        {"target_bytes": "5MB", "vocab_size": 0.5},
        {"target_bytes": "5MB", "sweep": "0.5,0.1"},
        {"target_ms": 2.0, "layers": 2},
        {"target_ms": 2.0, "runtime": "tpu"},
    ],
)
def test_options_that_contradict_a_target_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(typer.BadParameter, match="target"):
        recipe_with(**options)


def test_a_target_that_cannot_be_is_refused_by_the_command(corpus: Path, tmp_path: Path) -> None:
    fixed = ("--model", MODEL, "--corpus", corpus, "--out", tmp_path / "new")
    refused = fvt("compress", *fixed, "--target-bytes", "5 parsecs")
    assert refused.returncode == 2
    assert "--target-bytes" in refused.stderr


FLOATS = ["vocab-size", "max-minutes", "min-quality", "target-ms", "general-share", "sweep"]


@pytest.mark.parametrize("option", FLOATS)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "much"])
def test_what_is_no_number_is_refused_by_its_option(corpus: Path, option: str, text: str) -> None:
    command = ["compress", "--model", MODEL, "--corpus", str(corpus), "--out", "new"]
    refused = CliRunner().invoke(cli, [*command, f"--{option}={text}"], env={"COLUMNS": "200"})
    assert refused.exit_code == 2
    assert f"--{option}" in refused.stderr
    assert f"'{text}' is no " in refused.stderr
