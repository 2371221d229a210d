"""Describe a runtime: how a model is exported for it, and how its file is run in its place."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.contract import names
from worker.compression.corpus import Texts
from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel
from worker.compression.progress import Progress

Command = Sequence[str | Path]
_PROBE = Path(__file__).with_name("memory_probe.py")


def memory_probe(*arguments: str | Path) -> Command:
    """Return the arguments of Python that run the engine's own probe."""
    return [_PROBE, *arguments]


@dataclass(frozen=True)
class Teaching:
    """Holds what a file is trained or calibrated with that is not made of the weights alone.

    ``texts`` are those of training, which no measurement sees.
    """

    base: LoadedModel
    texts: Texts
    seed: int = 0


@dataclass(frozen=True)
class Runtime:
    """Describes a runtime; its row in ``app.contract.names`` has its files and its label.

    ``encoder`` runs a file in place of the model it was made of. ``probe`` returns the arguments of
    Python for a program that runs the file on a JSON list of texts, the argument after them, and
    prints its peak memory in bytes as the last word; the folder is the model's, for its tokenizer.
    ``write`` makes the file of a model, in an existing folder where those it requires lie, and
    ``check`` runs it against the model; both are None for a runtime whose files are the model
    itself. ``train`` stands in place of ``write`` where the file has to be trained, or calibrated
    on texts. ``packages`` are modules of Python that a worker may lack.
    ``check_model`` and ``check`` raise `ExportUnsupportedError` and `ExportFailedError`.
    """

    name: str
    encoder: Callable[[LoadedModel, Path], Encoder]
    probe: Callable[[Path, Path], Command]
    write: Callable[[LoadedModel, Path], None] | None = None
    train: Callable[[LoadedModel, Path, Teaching, Progress], None] | None = None
    check: Callable[[LoadedModel, Path], None] | None = None
    check_model: Callable[[LoadedModel], None] | None = None
    packages: tuple[str, ...] = ()

    @property
    def is_installed(self) -> bool:
        """Tell whether the packages that it needs are there."""
        return all(find_spec(package) for package in self.packages)

    @property
    def is_exported(self) -> bool:
        """Tell whether it has files of its own."""
        return bool(self.write or self.train)

    @property
    def row(self) -> names.RuntimeName:
        """Return the row in ``app.contract.names``."""
        return names.RUNTIMES[self.name]


TORCH = Runtime(
    names.BASELINE,
    encoder=lambda loaded, _: Encoder(loaded),
    probe=lambda file, _: memory_probe("torch", file.parent),
)


def on_cpu(loaded: LoadedModel) -> LoadedModel:
    """Return a model as it is, or a copy of it on the CPU, where exported files are run."""
    if loaded.model.device.type == "cpu":
        return loaded
    return LoadedModel(copy.deepcopy(loaded.model).cpu(), loaded.tokenizer, loaded.folder)
