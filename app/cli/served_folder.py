"""Show a folder of this machine to a service that is started for it.

No service reads a path that a client names. So the folder is shown to the local service as a model
of its own models folder, under a name that is the id of a model.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fvt_client.cli.model_folder import ModelFolder

DEPTH = 2
"""Folders of a sentence-transformers model hold files of its modules; deeper ones none."""


@contextmanager
def served(model: ModelFolder, data_dir: Path) -> Iterator[Path]:
    """Make a models folder that shows the model's files by links while the block runs."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="models-", dir=data_dir) as made:
        models_dir = Path(made)
        _link_files(model.path, models_dir / model.id, DEPTH)
        yield models_dir


def _link_files(source: Path, target: Path, depth: int) -> None:
    """Link each file of a folder; a pipe or another thing that is no file is left out."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_file():
            (target / path.name).symlink_to(path.resolve())
        elif depth > 1 and path.is_dir() and not path.name.startswith("."):
            _link_files(path, target / path.name, depth - 1)
