"""Export a fine-tuned model, so that its files are scored in its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.contract.names import RUNTIMES as NAMES
from worker.compression.corpus import Texts
from worker.compression.evaluation.tasks.fine_tuning import FineTuned
from worker.compression.evaluation.tasks.scores import Figures
from worker.compression.models.loading import load_model
from worker.compression.models.saving import save_model
from worker.compression.progress import Progress, part, silent
from worker.compression.runtimes import RUNTIMES, Teaching, export_model, exported_files

_EXPORTING = 0.5
"""Of the progress; the rest scores."""


@dataclass(frozen=True)
class FileScores:
    """Holds the bytes of a file, head included, and its figures on the test part."""

    bytes: int
    figures: Figures


def score_files(  # noqa: PLR0913
    tuned: FineTuned,
    runtimes: Sequence[str],
    folder: Path,
    progress: Progress | None = None,
    *,
    texts: Texts | None = None,
    seed: int = 0,
    left_out: dict[str, str] | None = None,
) -> dict[str, FileScores]:
    """Return, by runtime, what the files exported of a fine-tuned model score on the test part.

    The model, its head and its files are left in ``folder``. ``texts`` are for runtimes whose files
    are calibrated. A runtime whose file fails is added to ``left_out``, if given, with the reason.

    Raises:
        ExportUnsupportedError: models of this kind are not exported.
        ExportFailedError: a file does not do what the model does.

    """
    save_model(folder, tuned.model, tuned.tokenizer)
    loaded, progress = load_model(folder), progress or silent
    teaching = Teaching(loaded, texts, seed) if texts else None
    # A file that is made of another one stands after it.
    ordered = dict.fromkeys(one for name in runtimes for one in (*NAMES[name].requires, name))
    export_model(
        folder,
        folder,
        list(ordered),
        part(progress, 0.0, _EXPORTING),
        teaching=teaching,
        left_out=left_out,
    )
    files = [file for file in exported_files(folder) if file.runtime in runtimes]
    rest, scored = part(progress, _EXPORTING, 1.0), dict[str, FileScores]()
    for number, file in enumerate(files):
        own = part(rest, number / len(files), (number + 1) / len(files))
        encoder = RUNTIMES[file.runtime].encoder(loaded, folder / file.path)
        figures = tuned.score(encoder.head_logits, _named(file.path, own))
        scored[file.runtime] = FileScores(file.bytes, figures)
    return scored


def _named(path: str, progress: Progress) -> Progress:
    return lambda fraction, said: progress(fraction, f"{path}: {said}")
