"""What a worker makes sure of before it takes jobs."""

import subprocess
import sys

from app.settings import Settings

_COUNT = "import torch; print(torch.cuda.device_count())"
_NO_GPU = (
    "FVT_DEVICE is cuda, but PyTorch finds no GPU here: install the NVIDIA driver and the CUDA "
    "build of PyTorch, give the container a GPU, or set FVT_DEVICE to auto."
)
_TOO_FEW_GPUS = (
    "FVT_RECOVERY_PROCESSES is {wanted}, but PyTorch finds {found} GPUs here, and each process "
    "needs one of its own: set it to 1, or give the container more."
)


def check_device(settings: Settings) -> None:
    """End a worker that is to use GPUs it does not have.

    PyTorch looks in a process of its own, since the worker's parent process must not import it.

    Raises:
        SystemExit: there are none, or too few; the message says what to do.

    """
    wanted = settings.recovery_processes
    if settings.device == "cpu" or (settings.device == "auto" and wanted == 1):
        return
    found = _gpus()
    if settings.device == "cuda" and not found:
        raise SystemExit(_NO_GPU)
    if wanted > max(1, found):
        raise SystemExit(_TOO_FEW_GPUS.format(wanted=wanted, found=found))


def _gpus() -> int:
    """Return how many there are; none where PyTorch cannot tell."""
    command = [sys.executable, "-c", _COUNT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return int(done.stdout) if done.stdout.strip().isdigit() else 0
