"""Files in a folder: what a deletion leaves, and deletions at the same time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.blobs import Blobs


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs((tmp_path / "blobs").as_uri())


def left(blobs: Blobs) -> list[Path]:
    assert blobs.folder
    return list(blobs.folder.rglob("*"))


def test_the_folders_of_a_key_go_with_it(blobs: Blobs) -> None:
    for key in ("jobs/a/stages/1/x/y", "jobs/a/results/1/x", "jobs/b/x"):
        blobs.put(key, b"x")
    blobs.delete_all("jobs/a")
    assert blobs.keys("") == ["jobs/b/x"]
    assert blobs.children("jobs") == ["b"]
    blobs.delete(["jobs/b/x"])
    assert left(blobs) == []


def test_what_a_listing_hides_is_deleted_too(blobs: Blobs) -> None:
    assert blobs.folder
    hidden = blobs.folder / "jobs/a/stages/1"
    hidden.mkdir(parents=True)
    (hidden / "model#1").write_bytes(b"x")
    assert blobs.keys("") == []
    assert blobs.changed_at("jobs/a")
    blobs.delete_all("jobs/a")
    assert left(blobs) == []


def test_several_delete_the_same_at_once(blobs: Blobs) -> None:
    for _ in range(20):
        for number in range(50):
            blobs.put(f"jobs/a/{number % 7}/{number}", b"x")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(blobs.delete_all, ["jobs/a"] * 4))
        assert left(blobs) == []


def test_one_writes_while_another_removes_the_folder(blobs: Blobs) -> None:
    """An empty folder may go at any moment: who writes makes it again."""
    assert blobs.folder

    def write(number: int) -> None:
        for turn in range(50):
            blobs.put(f"jobs/a/{number}/{turn}", b"x")
            blobs.delete([f"jobs/a/{number}/{turn}"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    blobs.put("jobs/a/1/x", b"x")
    assert blobs.keys("jobs") == ["jobs/a/1/x"]
