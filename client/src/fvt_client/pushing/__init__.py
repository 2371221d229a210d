"""Hand a result on: to a model hub, to a model registry, or to an object store.

Each kind of target is one module, whose libraries an extra of this package brings. The files are
compared with the manifest before they are sent, and what arrived is compared with them.
"""

import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from .._errors import FvtError, PushError
from ..progress import BytesProgress, show_bytes
from ..steps import Retries, Steps, Work
from ..submission import StrPath
from ..transfers import OnBytes, download
from ..verify import verify
from .target import Options, Pushed, Result, Target

__all__ = ["Options", "Pushed", "Target", "find_target", "push", "push_job"]

FORMS = (
    "`hf://ORG/NAME` for a repository of the Hugging Face hub, `mlflow://NAME` or `models:/NAME` "
    "for an MLflow registry, `s3://BUCKET/PREFIX` for an object store"
)
# By how the target begins: the module, its extra, and the package whose absence tells of it.
_KINDS = {
    "hf://": ("hub", "hub", "huggingface_hub"),
    "mlflow://": ("registry", "mlflow", "mlflow"),
    "models:/": ("registry", "mlflow", "mlflow"),
    "s3://": ("bucket", "s3", "boto3"),
}


def push(
    folder: StrPath,
    target: str,
    *,
    replace: bool = False,
    public: bool = False,
    progress: BytesProgress = None,
) -> Pushed:
    """Hand on the folder of a downloaded result; returns where it is now.

    `target` is `hf://ORG/NAME`, `mlflow://NAME`, `models:/NAME` or `s3://BUCKET/PREFIX`. With
    `replace` other content there gives way. A repository that is made is private but for `public`.
    Whose target it is, and as whom, the usual variables and files say: HF_TOKEN or the hub's login,
    MLFLOW_TRACKING_URI, and those of AWS. Raises PushError.
    """
    found = find_target(target)
    found.check()
    return _send(found, Path(folder), Options(replace, public, show_bytes(progress)))


def push_job(job_id: str, target: str, options: Options, retries: Retries) -> Steps[Pushed]:
    """Download the result of a job and hand it on, as `push`; nothing is kept here."""
    found = find_target(target)
    yield Work(found.check)
    scratch: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory(prefix="fvt-push-")
    with scratch as folder:
        quiet: OnBytes = lambda _have, _all: None  # noqa: E731
        result = yield from download(job_id, Path(folder, job_id), retries, quiet)
        pushed: Pushed = yield Work(lambda: _send(found, result, options))
    return pushed


def find_target(target: str) -> Target:
    """Return what a target is; raises PushError for one that is none."""
    for prefix, (module, extra, package) in _KINDS.items():
        if target.startswith(prefix):
            make = _load(module, extra, package)
            return make(target.removeprefix(prefix).strip("/"))
    raise PushError(f"{target!r} is no target. Give {FORMS}.")


def _load(module: str, extra: str, package: str) -> Callable[[str], Target]:
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        raise PushError(
            f"This target needs {error.name}, which is not installed: "
            f"pip install 'fvt-client[{extra}]'."
        ) from error
    make: Callable[[str], Target] = import_module(f".{module}", __name__).target
    return make


def _send(target: Target, folder: Path, options: Options) -> Pushed:
    found = verify(folder)
    if found.faults:
        raise PushError(
            f"{folder} is not the result as it was made: {'; '.join(found.faults[:3])}. "
            "Nothing was sent. Download the result again."
        )
    try:
        return target.send(Result(folder), options)
    except FvtError:
        raise
    except OSError as error:
        raise PushError(f"{target.name} could not be reached: {error}. Try again.") from error
