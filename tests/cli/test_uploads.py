"""Files that are sent as one corpus."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from fvt_client.errors import UploadError
from fvt_client.transfers import open_corpus


def files(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def test_lines_of_several_files_stay_lines(tmp_path: Path) -> None:
    paths = files(tmp_path, {"a.txt": b"one\ntwo", "empty.txt": b"", "b.TXT": b"three\n"})
    with ExitStack() as stack:
        assert open_corpus(paths, stack).read() == b"one\ntwo\nthree\n"


@pytest.mark.parametrize(
    "names",
    [("a.csv", "b.csv"), ("a.txt", "b.jsonl"), ("a.txt.gz", "b.txt.gz"), ("a.parquet",) * 2, ()],
)
def test_what_cannot_be_joined_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    paths = files(tmp_path, dict.fromkeys(names, b"x")) * (2 if len({*names}) == 1 else 1)
    with ExitStack() as stack, pytest.raises(UploadError, match="cannot be sent as one corpus"):
        open_corpus(paths, stack)


def test_one_file_of_any_kind_is_sent_as_it_is(tmp_path: Path) -> None:
    paths = files(tmp_path, {"a.csv.zst": b"\x28\xb5"})
    with ExitStack() as stack:
        assert open_corpus(paths, stack).read() == b"\x28\xb5"


def test_a_file_that_is_gone_is_said_so(tmp_path: Path) -> None:
    with ExitStack() as stack, pytest.raises(UploadError, match="Cannot read"):
        open_corpus([tmp_path / "gone.txt"], stack)
