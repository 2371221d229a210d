"""Examine a model's folder once for each state of its files, and a large one in a process apart."""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from app.base_models.checks import (
    TOKENIZER,
    ModelFacts,
    TrainingFacts,
    examine,
    kind_of,
    training_facts,
)
from app.base_models.files import MIB, invalid_model, open_regular
from app.base_models.weights import weight_files
from app.contract.errors import UserFault
from app.estimates.sizes import Grid, read_grid
from app.subprocesses import OutOfMemoryError, Subprocesses

KEPT = 256
"""Most answers that are kept."""
MAX_FILES = 10_000
SMALL_BYTES = MIB
MEMORY_BYTES = 2048 * MIB

T = TypeVar("T")
Signature = tuple[tuple[str, int, int, int, int], ...]


class Examiner:
    """Examines the models in folders, anew at each call."""

    def facts(self, folder: Path, max_bytes: int) -> ModelFacts:
        """Examine a model; raises `UserFault` as `checks.examine` does."""
        return examine(folder, max_bytes)

    def training(self, folder: Path) -> TrainingFacts:
        """Tell how a model can be trained; raises `UserFault`."""
        return training_facts(folder)

    def grid(self, folder: Path, tokens: int) -> Grid:
        """Return the models that a target chooses from, of a base with so many tokens."""
        return read_grid(folder, tokens)

    def digest(self, folder: Path) -> str:
        """Return the sha256 over a model's weights and tokenizer; raises `UserFault`."""
        digest, path = hashlib.sha256(), folder / kind_of(folder).transformer
        for file in (*weight_files(path), path / TOKENIZER):
            with open_regular(file) as (opened, _):
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        return digest.hexdigest()


@dataclass
class _Kept:
    """An answer, the state of the files that it is of, and who may find it out anew."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    signature: Signature | None = None
    answer: Any = None


class KeepingExaminer(Examiner):
    """Keeps what it found until a file changes: a submission need not read a vocabulary again."""

    def __init__(self, subprocesses: Subprocesses) -> None:
        self._subprocesses = subprocesses
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()

    def facts(self, folder: Path, max_bytes: int) -> ModelFacts:
        return self._once(super().facts, folder, max_bytes)

    def training(self, folder: Path) -> TrainingFacts:
        return self._once(super().training, folder)

    def grid(self, folder: Path, tokens: int) -> Grid:
        return self._once(super().grid, folder, tokens)

    def digest(self, folder: Path) -> str:
        return self._once(super().digest, folder)

    def _once(self, find_out: Callable[..., T], folder: Path, *args: object) -> T:
        signature = _signature(folder)
        if signature is None:
            return self._find_out(find_out, folder, *args, large=True)
        kept = self._place((find_out.__name__, folder, *args))
        with kept.lock:
            if kept.signature != signature:
                try:
                    large = sum(_json_bytes(folder, signature)) > SMALL_BYTES
                    kept.answer = self._find_out(find_out, folder, *args, large=large)
                except UserFault as fault:
                    kept.answer = fault
                kept.signature = signature
            answer = kept.answer
        if isinstance(answer, UserFault):
            raise copy(answer)
        return cast(T, answer)

    def _place(self, key: tuple[object, ...]) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return kept

    def _find_out(self, find_out: Callable[..., T], folder: Path, *args: object, large: bool) -> T:
        if not large:
            return find_out(folder, *args)
        method = getattr(EXAMINER, find_out.__name__)
        try:
            return cast(T, self._subprocesses.run(MEMORY_BYTES, method, folder, *args))
        except OutOfMemoryError as error:
            most = f"{MEMORY_BYTES >> 30} GiB of memory"
            raise invalid_model(f"its configs and tokenizer take more than {most}") from error


EXAMINER = Examiner()


def _signature(folder: Path) -> Signature | None:
    """Return the state of every file below a folder; None where that cannot be told."""
    found = []
    try:
        for path in _paths(folder):
            try:
                state = path.stat()
            except OSError:  # a link that leads nowhere
                state = path.lstat()
            times = state.st_mtime_ns, state.st_ctime_ns
            found.append((str(path.relative_to(folder)), state.st_ino, state.st_size, *times))
            if len(found) > MAX_FILES:
                return None
    except OSError:
        return None
    return tuple(sorted(found))


def _paths(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder and in the folders below, into which no link is followed."""
    for root, folders, files in os.walk(folder, onerror=_raise):
        yield Path(root)
        for name in (*folders, *files):
            yield Path(root, name)


def _raise(error: OSError) -> None:
    raise error


def _json_bytes(folder: Path, signature: Signature) -> Iterator[int]:
    """Yield the size of each JSON text among the files, the headers of weights included."""
    for name, _, size, *_ in signature:
        if name.endswith((".json", ".jinja", ".txt")):
            yield size
        elif name.endswith(".safetensors"):
            try:
                with open_regular(folder / name) as (file, size_):
                    yield min(int.from_bytes(file.read(8), "little"), size_)
            except UserFault:  # whoever examines it says so
                continue
