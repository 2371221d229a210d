"""The names of the contract and the entries of the engine are the same, both ways."""

from typing import get_args

from app.contract import names
from app.contract.recipe import TASKS as TASK_RECIPES
from app.contract.recipe import ExportRecipe, RecoveryRecipe
from worker.compression.evaluation.metrics import METRICS
from worker.compression.evaluation.tasks import TASKS
from worker.compression.recovery.objectives import OBJECTIVES
from worker.compression.runtimes import RUNTIMES


def test_metrics_without_labels_are_those_of_the_engine_in_their_order() -> None:
    assert [name for name, row in names.METRICS.items() if row.task is None] == list(METRICS)
    assert all(name == metric.name == metric.row.name for name, metric in METRICS.items())


def test_metrics_of_tasks_are_those_of_the_engine_in_their_order() -> None:
    assert list(TASK_RECIPES) == list(TASKS)
    for type_, task in TASKS.items():
        assert list(task.metrics) == names.task_metrics(type_)
    assert {row.task for row in names.METRICS.values()} == {None, *TASKS}


def test_runtimes_are_those_of_the_engine_in_their_order() -> None:
    assert list(names.RUNTIMES) == list(RUNTIMES)
    assert next(iter(RUNTIMES)) == names.BASELINE
    for name, runtime in RUNTIMES.items():
        row = runtime.row
        assert name == runtime.name == row.name
        assert (row.field is None) == (not runtime.is_exported) == (runtime.check is None)
        assert not (runtime.write and runtime.train)
        assert (row.training_seconds > 0) == bool(runtime.train)
        assert bool(row.extra) == bool(runtime.packages)
        # Models are refused at submission where the engine would refuse them.
        refuses = row.is_static or not row.takes_encoder_decoders
        assert refuses == (runtime.check_model is not None)


def test_every_runtime_has_a_switch_in_the_recipe() -> None:
    fields = [row.field for row in names.RUNTIMES.values() if row.field]
    assert fields == list(ExportRecipe.model_fields)
    seen: set[str] = set()
    for name, row in names.RUNTIMES.items():
        assert set(row.requires) <= seen
        seen.add(name)
    assert ExportRecipe(int8=True).runtimes == ["onnx", "onnx-int8"]
    assert ExportRecipe(int4=True).runtimes == ["onnx", "onnx-int4"]
    assert ExportRecipe(onnx=True).runtimes == ["onnx"]
    assert ExportRecipe(openvino_int8=True).runtimes == ["openvino", "openvino-int8"]
    assert not ExportRecipe().wanted


def test_objectives_are_those_of_the_engine_in_their_order() -> None:
    assert list(names.OBJECTIVES) == list(OBJECTIVES)
    every = {part for choice in names.objective_choices() for part in choice.split("+")}
    assert every == {names.AUTO, names.NONE, *OBJECTIVES}


def test_presets_are_those_of_the_recipe() -> None:
    preset = RecoveryRecipe.model_fields["preset"].annotation
    assert list(get_args(preset)) == list(names.PRESETS)
