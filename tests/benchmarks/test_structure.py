"""The figures of a tiny tree, counted by hand."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.structure import Shape, comment_lines, measure, spread, table

TREE = {
    "app/__init__.py": "",
    "app/main.py": '''"""Where it starts."""

import json
from app.jobs import names, service

LIMIT = 3
"""How many at most."""


def start() -> None:  # noqa: D103
    # A comment of its own.
    service.submit(json.dumps(names.ALL))  # and one behind code
''',
    "app/jobs/__init__.py": '"""Jobs."""\n',
    "app/jobs/names.py": "from app.store.table import ROWS\n\nALL = [*ROWS]\n",
    "app/jobs/service.py": '''"""Submits."""

from ..store import table


def submit(text: str) -> str:
    """Whether it works."""
    return _once(text) + _twice(text) + _twice(text)


def _once(text: str) -> str:
    """What is done once."""
    return text


def _twice(text: str) -> str:
    """Do it twice."""

    return text


class Service:
    """Keeps its rows."""

    def __init__(self) -> None:
        self._handler = self._handed_on
        self._method()

    def _method(self) -> None:
        table.read()

    def _handed_on(self) -> None:
        """Return nothing."""
''',
    "app/store/table.py": """from app.jobs.names import ALL

ROWS = [1]


def read() -> None:
    from app.jobs import names

    print(ALL, names)
""",
    "worker/__init__.py": "",
    "worker/run.py": "import app.main\nimport worker.compression.engine as engine\n",
    "worker/tasks.py": "from worker.run import engine\n",
    "worker/compression/engine.py": "VALUE = 1\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, source in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
    return tmp_path


@pytest.fixture
def app(root: Path) -> Shape:
    return measure(root)["app"]


def test_files_and_lines(root: Path, app: Shape) -> None:
    assert (app.files, app.modules) == (6, 4)
    assert (app.lines, app.filled_lines) == (12 + 1 + 3 + 33 + 9, 8 + 1 + 2 + 20 + 5)
    assert app.file_lines == [3, 33, 12, 9]
    worker = measure(root)["worker"]
    assert (worker.files, worker.modules, worker.lines) == (3, 2, 3)
    engine = measure(root)["engine"]
    assert (engine.files, engine.modules, engine.lines, engine.imports) == (1, 1, 1, 0)


def test_functions(app: Shape) -> None:
    assert sorted(app.function_lines) == [2, 2, 3, 3, 3, 3, 4, 4]
    assert app.called_once == {"app.jobs.service": ["_once", "_method"]}


def test_imports(root: Path, app: Shape) -> None:
    assert app.imports == 6
    assert app.arrows == [
        ("app.jobs.names", "app.store.table"),
        ("app.jobs.service", "app.store.table"),
        ("app.main", "app.jobs.names"),
        ("app.main", "app.jobs.service"),
        ("app.store.table", "app.jobs.names"),
    ]
    assert app.pairs == [("app.jobs", "app.store")]
    assert app.cycles == [["app.jobs.names", "app.store.table"]]
    worker = measure(root)["worker"]
    assert worker.arrows == [
        ("worker.run", "app.main"),
        ("worker.run", "worker.compression.engine"),
        ("worker.tasks", "worker.run"),
    ]
    assert (worker.pairs, worker.cycles) == ([], [])


def test_modules_of_a_groups_own_folder_stand_for_themselves(root: Path) -> None:
    (root / "app/settings.py").write_text("PORT = 1\n")
    (root / "app/jobs/names.py").write_text("from app.settings import PORT\n\nALL = [PORT]\n")
    (root / "app/store/table.py").write_text("ROWS = [1]\n")
    assert measure(root)["app"].pairs == []


def test_a_private_function_that_another_module_calls_too_is_called_twice(root: Path) -> None:
    (root / "app/main.py").write_text("from app.jobs.service import _once\n\n_once('')\n")
    assert measure(root)["app"].called_once == {"app.jobs.service": ["_method"]}


def test_words(app: Shape) -> None:
    words = ["Where", "Jobs", "Submits", "Whether", "What", "Do", "Keeps", "Return"]
    assert app.docstrings == Counter(words)
    assert app.name_strings == Counter(["How"])
    assert app.comments == 2


def test_comments_are_no_strings_and_no_directives() -> None:
    source = 'x = "# no"\n# one\ny = 1  # two\nz = 1  # type: ignore[x]\nv = 1  # noqa: S1  (why)\n'
    assert comment_lines(source) == 2


def test_spread_is_median_ninth_tenth_and_largest() -> None:
    assert spread([*range(1, 11)]) == "5.5 / 9 / 10"
    assert spread([]) == "-"


def test_table_has_a_column_a_checkout(app: Shape) -> None:
    lines = table("app", ["before", "after"], [app, app]).splitlines()
    assert lines[0] == "| app | before | after |"
    assert "| project imports a kline | 103.4 | 103.4 |" in lines
    assert "| private functions called once, of all functions | 2 (25.0 %) | 2 (25.0 %) |" in lines
    assert "| docstrings that open with a question | 3 (37.5 %) | 3 (37.5 %) |" in lines
    asked = "What 1, Whether 1, Which 0, Who 0, Where 1, How 0"
    assert f"| of these | {asked} | {asked} |" in lines
    assert "| comment lines | 2 (3.4 %) | 2 (3.4 %) |" in lines


def test_it_runs_on_several_checkouts(root: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.structure", str(root), str(root)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"| engine | {root} | {root} |" in printed
    assert printed.count("- folders: app.jobs and app.store") == 2
    assert printed.count("- cycle: app.jobs.names, app.store.table") == 2


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="name a checkout"):
        measure(tmp_path)
