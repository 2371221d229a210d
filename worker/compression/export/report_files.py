"""The report's two files."""

import json
from dataclasses import asdict
from pathlib import Path

from worker.compression.export.report_page import render_page
from worker.compression.report import Report


def write_report(folder: Path, report: Report) -> None:
    """Write ``report.json`` and ``report.html``, a page that needs no other file."""
    content = json.dumps(asdict(report), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(content + "\n", encoding="utf-8")
    (folder / "report.html").write_text(render_page(report), encoding="utf-8")
