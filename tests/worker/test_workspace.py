import tempfile
from pathlib import Path

import pytest

from app.blobs import Blobs
from worker.workspace import Workspace


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs((tmp_path / "blobs").as_uri())


def attempt(folder: Path, blobs: Blobs, token: int) -> Workspace:
    return Workspace(folder, blobs, "jobs/job_1", "job_1", token)


def leave_files(workspace: Workspace) -> dict[str, object]:
    folder = workspace.begin("tokenizer")
    (folder / "model").mkdir()
    (folder / "model" / "tokenizer.json").write_text("{}")
    (folder / "counts.json").write_text("[1]")
    return workspace.save("tokenizer")


def test_a_later_attempt_finds_the_files_on_another_machine(tmp_path: Path, blobs: Blobs) -> None:
    outputs = leave_files(attempt(tmp_path / "here", blobs, 1))
    there = attempt(tmp_path / "there", blobs, 2)
    assert there.restore("tokenizer", outputs)
    assert (there.root / "tokenizer/model/tokenizer.json").read_text() == "{}"
    assert (there.root / "tokenizer/counts.json").read_text() == "[1]"


def test_what_is_gone_or_changed_in_the_mirror_is_not_taken(tmp_path: Path, blobs: Blobs) -> None:
    outputs = leave_files(attempt(tmp_path / "here", blobs, 1))
    key = outputs["counts.json"]["key"]  # type: ignore[index]
    blobs.put(key, b"[2]")
    assert not attempt(tmp_path / "there", blobs, 2).restore("tokenizer", outputs)
    blobs.delete_all("jobs/job_1/stages")
    assert not attempt(tmp_path / "there", blobs, 3).restore("tokenizer", outputs)


def test_attempts_do_not_see_each_other_until_all_is_cleared(tmp_path: Path, blobs: Blobs) -> None:
    first, second = attempt(tmp_path, blobs, 1), attempt(tmp_path, blobs, 2)
    outputs = leave_files(first)
    leave_files(second)
    first.leave()
    assert (second.root / "tokenizer/counts.json").exists()
    assert attempt(tmp_path, blobs, 3).restore("tokenizer", outputs)
    second.clear()
    assert blobs.keys("jobs/job_1") == []
    assert list(tmp_path.glob("job_1")) == []


def test_an_unfinished_stage_is_found_as_it_was_last_kept(tmp_path: Path, blobs: Blobs) -> None:
    here = attempt(tmp_path / "here", blobs, 1)
    folder = here.begin("recover")
    (folder / "done.json").write_text("done")
    (folder / "state").write_text("one")
    first = here.save_partial("recover")
    (folder / "state").write_text("two")
    second = here.save_partial("recover")
    assert first["done.json"] == second["done.json"]
    # Until the second is written down, the first can still be had.
    assert attempt(tmp_path / "there", blobs, 2).restore("recover", first)
    here.drop_partials("recover", but=second)
    there = attempt(tmp_path / "there", blobs, 3)
    assert (there.resume("recover", second) / "state").read_text() == "two"
    assert list(there.resume("recover", first).iterdir()) == []
    assert len(blobs.keys("jobs/job_1")) == 2
    here.drop_partials("recover", but={})
    assert blobs.keys("jobs/job_1") == []


def test_what_is_left_in_temporary_files_goes_with_the_attempt(
    tmp_path: Path, blobs: Blobs
) -> None:
    workspace, before = attempt(tmp_path / "here", blobs, 1), tempfile.gettempdir()
    with workspace.temporary_folder():
        left = Path(tempfile.mkdtemp())
    assert left.is_relative_to(workspace.root)
    assert tempfile.gettempdir() == before
    workspace.leave()
    assert not left.exists()
