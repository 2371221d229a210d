"""The benchmarks of labelled tasks on a tiny model: their rows say what was measured."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import task_quality, task_speed
from benchmarks.batch_ways import Found, Ways, rows
from benchmarks.classifiers import Classifier, untrained
from benchmarks.labelled_tasks import Task
from benchmarks.recording import figures_of
from benchmarks.task_speed import batches_of, shares, timed
from tests.support.labelled_tasks import labelled, tagged
from tests.support.tiny_models import make_base_model, texts
from worker.compression import load_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    parts = {"ade": labelled, "conll2003": tagged}
    for name, made in parts.items():
        (folder / name).mkdir()
        for part, count, seed in (("train", 200, 0), ("test", 40, 1)):
            lines = [json.dumps(row) for row in made(count, seed)]
            (folder / name / f"{part}.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base_model(tmp_path_factory.mktemp("base"), layers=4)


@pytest.fixture(scope="module")
def classifiers(base: Path, data: Path) -> list[Classifier]:
    return list(untrained(load_model(base), Task("ade", data), [0.9], [0, 2], "cpu"))


def printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> dict[str, str]:
    """Run the command of a benchmark; returns the figures that would be recorded."""
    name, *arguments = command.split()
    monkeypatch.setattr("sys.argv", [name, *arguments])
    {"task_quality": task_quality, "task_speed": task_speed}[name].main()
    return figures_of(capsys.readouterr().out)


@pytest.mark.slow
def test_a_cell_has_its_quality_and_size_in_pytorch_and_of_its_file(
    base: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = f"task_quality conll2003 --data {data} --model {base} --rate 5e-3 --epochs 4"
    command += " --sizes 0.9 --layers 2 --steps 3"
    figures = printed(capsys, monkeypatch, f"{command} --seeds 0 1")
    before, after = "base, 4 layers", "0.9, 2 layers"
    assert float(figures[f"{before}: F1"]) > 30
    assert figures[f"{before}: F1 change, points"] == "+0.00"
    change = float(figures[f"{after}: F1"]) - float(figures[f"{before}: F1"])
    assert float(figures[f"{after}: F1 change, points"]) == pytest.approx(change, abs=0.02)
    assert -60 < float(figures[f"{after}: size change, %"]) < -10
    assert figures[f"{after}: the base's F1"] == f"{figures[f'{before}: F1']}, of this run"
    seeds = figures[f"{after}: each seed"].split()
    assert len(seeds) == 2

    alone = f"{command} --seeds 0 --base-f1 98.5 --runtimes onnx-int8"
    given = printed(capsys, monkeypatch, alone)
    assert not any(name.startswith("base") for name in given)
    # A cell of its own is the same model, on the same protocol.
    assert given[f"{after}, PyTorch: F1"] == seeds[0]
    assert given[f"{after}, PyTorch: the base's F1"] == "98.50, given"
    for runtime in ("PyTorch", "onnx-int8"):
        change = float(given[f"{after}, {runtime}: F1"]) - 98.5
        said = float(given[f"{after}, {runtime}: F1 change, points"])
        assert said == pytest.approx(change, abs=0.02)


def test_a_limit_takes_the_first_rows(data: Path) -> None:
    whole, some = Task("ade", data), Task("ade", data, 5, 3)
    assert (len(whole.train), len(whole.test)) == (200, 40)
    assert some.texts() == whole.texts()[:5]
    assert some.test_texts() == whole.test_texts()[:3]


def test_models_of_each_size_have_a_head_and_their_layers(classifiers: list[Classifier]) -> None:
    assert [one.name for one in classifiers] == [
        "base, 4 layers",
        "0.9, 4 layers",
        "0.9, 2 layers",
    ]
    base, all_layers, half = classifiers
    assert len(half.tokenizer) == len(all_layers.tokenizer) < len(base.tokenizer)
    for one in classifiers:
        assert one.model.config.num_labels == 2
        assert one.model.dtype == torch.float32
        assert one.labels(one.batch(texts(3))).shape == (3,)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["ade", "conll2003"])
def test_speed_has_a_row_a_model(
    base: Path,
    data: Path,
    task: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = f"task_speed {task} --data {data} --model {base} --sizes 0.9 --rounds 2 --sorted"
    figures = printed(capsys, monkeypatch, command)
    assert figures["base, 4 layers: times faster"] == "1.00"
    assert float(figures["0.9, 2 layers: times faster"]) > 0
    parts = [f"base, 4 layers: {part}, %" for part in ("tokenization", "copying", "model")]
    assert sum(float(figures[part]) for part in parts) == pytest.approx(100, abs=2)


def test_every_run_takes_a_turn_on_every_batch() -> None:
    batches, seen = batches_of([str(n) for n in range(40)], 1, by_length=False), list[list[str]]()
    seconds = timed([lambda some: seen.append([text for [text] in some])] * 3, batches, 2)
    assert [len(own) for own in seconds] == [2, 2, 2]
    # Each of 16 batches is run once more, by itself, before.
    turns = [one for one in seen if len(one) > 1]
    assert sorted(turns) == sorted([[str(n) for n in r] for r in RANGES] * 6)


RANGES = (range(16), range(16, 32), range(32, 40))


def test_batches_by_length_have_all_texts() -> None:
    found = batches_of(["aaa", "a", "aa", "aaaa"], 3, by_length=True)
    assert found == [["a", "aa", "aaa"], ["aaaa"]]


def test_shares_are_of_the_whole(classifiers: list[Classifier]) -> None:
    found = shares(classifiers[0], [texts(4), texts(2, seed=1)])
    assert sum(found) == pytest.approx(100)
    assert min(found) >= 0


@pytest.mark.slow
def test_each_way_labels_each_text_as_the_first(classifiers: list[Classifier]) -> None:
    model, asked = classifiers[0].model, texts(32, seed=3)
    with torch.inference_mode():
        inputs = classifiers[0].batch(asked)
        logits = model(input_ids=inputs[0], attention_mask=inputs[1]).logits
    # So that half of the texts have each label.
    middle = (logits[:, 1] - logits[:, 0]).sort().values[15:17].mean()
    model.classifier.bias.data[1] -= middle
    ways = Ways(classifiers[0], 3, 8, compiled=False)
    runs = {name: Found(way) for name, way in ways.all().items()}
    for one in runs.values():
        one.run(asked)
    expected = runs["batches of 3 as given"].labels
    assert expected is not None
    assert sorted(expected.tolist()) == [0] * 16 + [1] * 16
    done = {name: one for name, one in runs.items() if not one.failed}
    assert {name: one.labels.tolist() for name, one in done.items() if one.labels is not None} == (
        dict.fromkeys(done, expected.tolist())
    )
    assert len(done) == 6


def test_a_way_that_a_machine_lacks_has_a_row_that_says_so(
    classifiers: list[Classifier], capsys: pytest.CaptureFixture[str]
) -> None:
    print(
        "| model | way | texts a second | times faster | first | same |\n| - | - | - | - | - | - |"
    )
    with torch.inference_mode():
        rows(Ways(classifiers[0], 3, 8, compiled=False), texts(8), 1, None)
    figures = figures_of(capsys.readouterr().out)
    if not torch.cuda.is_available():
        said = figures["base, 4 layers, sorted, CUDA graphs: texts a second"]
        assert said == "failed: RuntimeError, CUDA graphs need a GPU"
    assert figures["base, 4 layers, batches of 3 as given: times faster"] == "1.00"
    assert figures["base, 4 layers, sorted by length: same"] == "100.00"


def test_padding_reaches_a_multiple_and_is_masked(classifiers: list[Classifier]) -> None:
    one = classifiers[0]
    ids = one.ids(["baba", "baba kaka zuzo wiwi"])
    padded = one.padded(ids, multiple=8)
    assert padded.shape[2] % 8 == 0
    assert padded[1].sum(1).tolist() == [len(row) for row in ids]
    assert torch.equal(one.padded(ids), one.batch(["baba", "baba kaka zuzo wiwi"]))
