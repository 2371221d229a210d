"""What benchmarks record is kept by run, and the page has exactly that."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import recording, results
from benchmarks.recording import figures_of, recorded
from benchmarks.results import BEGIN, END, Figure, own_command, page, read, record, take_flag

WORDS = st.text(st.characters(blacklist_categories=["C", "Z"], blacklist_characters="\\"))
CELLS = WORDS.filter(bool)


def test_a_figure_takes_the_place_of_an_older_one_of_the_same_run(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    record({"seconds": 3.5, "ratio": "1.2x"}, "python -m benchmarks.upload", file)
    record({"seconds": 2}, "python -m benchmarks.load", file)
    record({"seconds": 3.1}, "python -m benchmarks.upload", file)
    rows = {(row.command.rpartition(".")[2], row.figure): row.value for row in read(file)}
    assert rows == {("load", "seconds"): "2", ("upload", "ratio"): "1.2x"} | {
        ("upload", "seconds"): "3.1"
    }
    assert all(row.machine and row.date and row.commit for row in read(file))


def test_benchmarks_that_end_at_the_same_time_are_all_recorded(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    program = (
        "import sys; from pathlib import Path; from benchmarks.results import record\n"
        "record({'seconds': 1}, sys.argv[1], Path(sys.argv[2]))"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", program, f"python -m x{n}", str(file)])
        for n in range(6)
    ]
    assert [run.wait() for run in runs] == [0] * 6
    assert {row.command for row in read(file)} == {f"python -m x{n}" for n in range(6)}


@given(names=st.lists(CELLS, unique=True, min_size=1, max_size=4), value=CELLS)
def test_what_is_recorded_is_read(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], value: str
) -> None:
    file = tmp_path_factory.mktemp("results") / "RESULTS.md"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "commit", lambda: "abc1234")
        record(dict.fromkeys(names, value), "python -m x", file)
    assert [(row.figure, row.value) for row in read(file)] == [(name, value) for name in names]


def test_a_row_of_another_hand_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    record({"seconds": 1}, "python -m x", file)
    file.write_text(file.read_text() + "| a | row |\n")
    with pytest.raises(ValueError, match="not one cell a column"):
        read(file)


def test_a_command_names_no_folder_of_this_machine() -> None:
    argv = ["/usr/bin/python3", "-m", "benchmarks.upload", "/home/me/corpus.txt", "--record"]
    assert own_command(argv) == "python -m benchmarks.upload corpus.txt"
    arguments = ["--record", "a", "--record"]
    assert take_flag(arguments)
    assert arguments == ["a"]
    assert not take_flag(arguments)


def test_the_page_keeps_what_people_wrote() -> None:
    text = f"above\n{BEGIN}\nold\n{END}\nbelow\n"
    made = page(text, [Figure("python -m x", "a machine", "2026-11-26", "abc", "seconds", "2")])
    assert made.startswith("above\n")
    assert made.endswith("below\n")
    assert "| seconds | 2 |" in made
    assert "old" not in made
    assert page(made, []) == page(text, [])
    with pytest.raises(ValueError, match="once each"):
        page("no marks", [])


def test_the_page_has_what_is_recorded() -> None:
    assert results.main(["--check"]) == 0


PRINTED = """sqlite
  submissions: {"p50": 0.1, "errors": {"503": 0}}
| model | layers | MB |
| --- | --- | --- |
| base | 6 | 90.9 |
| **small** | 3 | 5.1 |
| **small** | 2 | 4.1 |
postgresql
  submissions: {"p50": 0.2}
"""


def test_tables_and_json_are_figures() -> None:
    assert figures_of(PRINTED) == {
        "sqlite, submissions, p50": "0.1",
        "sqlite, submissions, errors, 503": "0",
        "base, 6: MB": "90.9",
        "small, 3: MB": "5.1",
        "small, 2: MB": "4.1",
        "postgresql, submissions, p50": "0.2",
    }
    assert figures_of('{\n "seconds": {"form": 2}\n}') == {"seconds, form": "2"}


def test_a_benchmark_is_recorded_when_it_is_asked_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = list[dict[str, str]]()
    monkeypatch.setattr(recording, "record", kept.append)
    monkeypatch.setattr(sys, "argv", ["x", "--record", "here"])
    with recorded():
        print('{"seconds": 2}')
    assert sys.argv == ["x", "here"]
    assert kept == [{"seconds": "2"}]
    assert capsys.readouterr().out == '{"seconds": 2}\n'
    with recorded():
        print('{"seconds": 3}')
    assert len(kept) == 1
    sys.argv.append("--record")
    with pytest.raises(ZeroDivisionError), recorded():
        print({"seconds": 1 / 0})
    assert len(kept) == 1


def test_every_benchmark_that_prints_figures_can_record_them() -> None:
    others = {"structure", "same_bytes", "results"}
    for file in sorted(results.RESULTS.parent.glob("*.py")):
        text = file.read_text("utf-8")
        if '__name__ == "__main__"' in text and file.stem not in others:
            assert "with recorded():" in text, file.name
