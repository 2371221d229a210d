"""Put what is said of it in the place of a stage, in the process of this job alone."""

from dataclasses import replace
from importlib import import_module
from typing import Any

from tests.hostile_extension.acts import ACTS, said

check: Any = import_module("worker.stages.check")
runner: Any = import_module("worker.runner")

where, act = said()
if where == "child":
    check.SELF_CHECK = "tests.hostile_extension.child"
elif where:
    runner.STAGES = tuple(
        replace(stage, run=lambda *_: ACTS[act]()) if stage.name == where else stage
        for stage in runner.STAGES
    )
