"""What a worker makes sure of before it takes jobs."""

import subprocess
import sys

from app.settings import Settings

_LOOK = "import sys, torch; sys.exit(not torch.cuda.is_available())"
_NO_GPU = (
    "FVT_DEVICE is cuda, but PyTorch finds no GPU here: install the NVIDIA driver and the CUDA "
    "build of PyTorch, give the container a GPU, or set FVT_DEVICE to auto."
)


def check_device(settings: Settings) -> None:
    """End a worker that is to use a GPU and has none.

    PyTorch looks in a process of its own, since the worker's parent process must not import it.

    Raises:
        SystemExit: there is none; the message says what to do.

    """
    if settings.device == "cuda" and _run(_LOOK):
        raise SystemExit(_NO_GPU)


def _run(program: str) -> int:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode  # noqa: S603
