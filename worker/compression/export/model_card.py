"""README.md, the model card."""

from pathlib import Path

from worker.compression.export.templates import render
from worker.compression.report import Report


def write_model_card(folder: Path, report: Report) -> Path:
    """Write the card of the model in ``folder``, with front matter for a model hub."""
    is_sentence_encoder = (folder / "modules.json").is_file()
    library = "sentence-transformers" if is_sentence_encoder else "transformers"
    path = folder / "README.md"
    path.write_text(render("README.md", report=report, library=library), encoding="utf-8")
    return path
