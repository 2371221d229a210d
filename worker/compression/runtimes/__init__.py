"""List the runtimes that models are exported for and measured in: an entry each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.contract.names import RUNTIMES as NAMES
from worker.compression.errors import ExportFailedError, ExportUnsupportedError
from worker.compression.models.loading import LoadedModel, load_model
from worker.compression.progress import Progress, part, silent
from worker.compression.runtimes.onnx import ONNX
from worker.compression.runtimes.onnx_int4 import ONNX_INT4
from worker.compression.runtimes.onnx_int8 import ONNX_INT8
from worker.compression.runtimes.openvino import OPENVINO, OPENVINO_INT8
from worker.compression.runtimes.runtime import TORCH, Runtime, Teaching
from worker.compression.runtimes.static import STATIC

_ALL = (TORCH, ONNX, ONNX_INT8, ONNX_INT4, OPENVINO, OPENVINO_INT8, STATIC)
RUNTIMES = {runtime.name: runtime for runtime in _ALL if runtime.is_installed}
"""Those of this worker: one whose packages are not installed is not among them."""


def register_runtime(runtime: Runtime) -> None:
    """Add a runtime of an extension, whose row is in ``app.contract.names``.

    Raises:
        ValueError: there is no such row, or another runtime has the name.

    """
    if runtime.name not in NAMES:
        raise ValueError(f"{runtime.name!r} has no row in app.contract.names.RUNTIMES")
    if RUNTIMES.setdefault(runtime.name, runtime) is not runtime:
        raise ValueError(f"the name {runtime.name!r} is taken")


@dataclass(frozen=True)
class ExportedFile:
    """Holds a model for one runtime: its path under the model's folder, the bytes of its files."""

    runtime: str
    path: str
    bytes: int


def check_installed(runtimes: Sequence[str]) -> None:
    """Refuse a runtime that this worker lacks, whatever the model.

    Raises:
        ExportUnsupportedError: which runtime, and what to do.

    """
    for row in (NAMES[name] for name in runtimes if name not in RUNTIMES):
        by = f" by `pip install 'fvt-service[worker,{row.extra}]'`" if row.extra else ""
        raise ExportUnsupportedError(
            f"This worker has no {row.label}: name another runtime, or have it added there{by}."
        )


def check_exportable(loaded: LoadedModel, runtimes: Sequence[str]) -> None:
    """Refuse a model that one of the runtimes has no form of, whatever its size.

    Raises:
        ExportUnsupportedError: which runtime, and what to do.

    """
    check_installed(runtimes)
    for name in runtimes:
        if check := RUNTIMES[name].check_model:
            check(loaded)


def exportable(loaded: LoadedModel, runtimes: Sequence[str]) -> list[str]:
    """Return those of some runtimes that this worker has, and that have a form of a model."""

    def is_exportable(name: str) -> bool:
        try:
            check_exportable(loaded, [*NAMES[name].requires, name])
        except ExportUnsupportedError:
            return False
        return True

    return [name for name in runtimes if is_exportable(name)]


def needs_training(runtimes: Sequence[str]) -> bool:
    """Tell whether the files of one of the runtimes are trained, or calibrated."""
    return any(RUNTIMES[name].train for name in runtimes)


def export_model(  # noqa: PLR0913
    folder: Path,
    into: Path,
    runtimes: Sequence[str],
    progress: Progress | None = None,
    *,
    teaching: Teaching | None = None,
    left_out: dict[str, str] | None = None,
    needed: Collection[str] = (),
) -> list[ExportedFile]:
    """Write the files of the model in ``folder`` under ``into``, and check each against the model.

    A runtime stands after those it requires, as in the recipe's ``runtimes``. ``teaching`` is for
    those whose files are trained or calibrated, and needed there. With ``left_out``, a runtime
    that is not ``needed`` and fails is left out and added there, with the reason.

    Raises:
        ExportUnsupportedError: models of this kind, or of this size, are not exported.
        ExportFailedError: a file does not do what the model does.

    """
    progress, loaded = progress or silent, load_model(folder)
    check_exportable(loaded, runtimes)
    for number, name in enumerate(runtimes):
        share = part(progress, number / len(runtimes), (number + 1) / len(runtimes))
        if missing := [one for one in NAMES[name].requires if one in (left_out or {})]:
            assert left_out is not None
            left_out[name] = left_out[missing[0]]
            continue
        try:
            _export(loaded, into, RUNTIMES[name], share, teaching)
        except (ExportUnsupportedError, ExportFailedError) as error:
            if left_out is None or name in needed:
                raise
            left_out[name] = str(error)
            for path in NAMES[name].paths:
                (into / path).unlink(missing_ok=True)
    return exported_files(into)


def _export(
    loaded: LoadedModel, into: Path, runtime: Runtime, progress: Progress, teaching: Teaching | None
) -> None:
    """Write the files of a model for one runtime, and check them."""
    file = into / runtime.row.path
    file.parent.mkdir(parents=True, exist_ok=True)
    progress(0.1, f"writing {runtime.row.label}")
    if runtime.write:
        runtime.write(loaded, file)
    elif runtime.train:
        if teaching is None:
            raise ValueError(f"{runtime.name} reads texts: give `teaching`")
        runtime.train(loaded, file, teaching, part(progress, 0.1, 0.9))
    progress(0.6 if runtime.write else 0.9, f"checking {runtime.row.label} against the model")
    if runtime.check:
        runtime.check(loaded, file)


def exported_files(folder: Path) -> list[ExportedFile]:
    """Return what was exported under a model's folder, in the order of ``RUNTIMES``."""
    exported = [runtime.row for runtime in RUNTIMES.values() if runtime.is_exported]
    return [
        ExportedFile(row.name, row.path, sum((folder / p).stat().st_size for p in row.paths))
        for row in exported
        if all((folder / path).is_file() for path in row.paths)
    ]


__all__ = [
    "RUNTIMES",
    "ExportedFile",
    "Runtime",
    "Teaching",
    "check_exportable",
    "check_installed",
    "export_model",
    "exportable",
    "exported_files",
    "needs_training",
    "register_runtime",
]
