import hashlib
import tarfile
import time
from pathlib import Path

from worker.stages.package import Archive


def build(folder: Path, target: Path) -> str:
    (folder / "sub").mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(range(256)) * 999)
    (folder / "sub" / "config.json").write_text("{}")
    archive = Archive(target, folder, "model-fvt")
    archive.add(["weights"])
    archive.add(["sub/config.json"])
    archive.close()
    return hashlib.sha256(target.read_bytes()).hexdigest()


def test_unpacks_to_one_folder_with_the_files_as_they_were(tmp_path: Path) -> None:
    build(tmp_path / "a", tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        tar.extractall(tmp_path / "out", filter="data")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model-fvt"]
    assert (tmp_path / "out/model-fvt/weights").read_bytes() == bytes(range(256)) * 999
    assert (tmp_path / "out/model-fvt/sub/config.json").read_text() == "{}"


def test_is_the_same_bytes_whenever_and_wherever_it_is_built(tmp_path: Path) -> None:
    first = build(tmp_path / "a", tmp_path / "a.tar.gz")
    time.sleep(1.1)  # past the resolution of a tar's times
    assert build(tmp_path / "b", tmp_path / "b.tar.gz") == first
