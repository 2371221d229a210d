"""Refusals of what a disk of the service has no room for, before it begins."""

from dataclasses import dataclass

from app.blobs import Blobs
from app.contract.recipe import Recipe
from app.disk import free_bytes, same_disk
from app.settings import Settings

FILES_OF_A_MODEL = 1 << 20
"""Bytes beside its weights: tokenizer, vocabulary, report."""
OPTIMISER = 3
"""Trained weights and two moments of each, as multiples of the weights."""


@dataclass(frozen=True)
class Shortage:
    """Sets what is needed on a disk, with what stays free there, against what it has; in bytes."""

    needed: int
    free: int

    def __str__(self) -> str:
        return f"{self.needed:,} bytes are needed and {self.free:,} are free"


@dataclass(frozen=True)
class JobSize:
    """An estimate of the bytes that a job takes at most, at one time."""

    workspace: int
    """On the worker's disk."""
    storage: int
    """The storage of uploads and results."""


def job_size(recipe: Recipe, model_bytes: int, corpora_bytes: int) -> JobSize:
    """Estimate it from the bytes of the base model's weights and of the corpora it reads.

    Every model counts as large as its base: a vocabulary that keeps half saves less than half.
    """
    trains = recipe.recovery.objective != "none"
    model = model_bytes + FILES_OF_A_MODEL
    exports = len(recipe.most_runtimes)
    # Of a size: as transferred, recovered, and exported; untrained, the first two are one file.
    kept = model * (1 + trains + exports)
    # A model that is fine-tuned for a task is exported again for a while, before this is written.
    archive = model * (1 + exports)
    # One size is trained at a time. A state replaces the one before when it is whole.
    state = 2 * OPTIMISER * model_bytes if trains else 0
    sizes = recipe.most_models
    # In storage the stages and the result are copies that share their bytes only in a folder.
    mirror = sizes * (model * (2 + exports) + archive)
    return JobSize(sizes * (kept + archive) + state + corpora_bytes, mirror + archive + state)


def shortage(size: JobSize, settings: Settings, blobs: Blobs) -> Shortage | None:
    """Return what a job lacks on this machine's disks; None where there is room."""
    disks = [(settings.workspaces, size.workspace)]
    if folder := blobs.folder:
        if same_disk(settings.workspaces, folder):
            disks = [(folder, size.workspace + size.storage)]
        else:
            disks.append((folder, size.storage))
    for disk, needed in disks:
        lacks = Shortage(needed + settings.min_free_bytes, free_bytes(disk))
        if lacks.free < lacks.needed:
            return lacks
    return None


def upload_shortage(needed: int, settings: Settings, blobs: Blobs) -> Shortage | None:
    """Return what an upload of so many bytes lacks; None where there is room, or no limit."""
    free = blobs.free_bytes
    lacks = Shortage(needed + settings.min_free_bytes, free or 0)
    return lacks if free is not None and free < lacks.needed else None
