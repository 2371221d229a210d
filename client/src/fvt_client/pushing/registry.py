"""The MLflow model registry: a result as a version of a registered model that predicts."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from .._errors import PushError
from ..contract.errors import UserFault
from ..contract.model_kinds import CONFIG, ModelKind, decide_kind
from ..verify import verify
from .target import Options, Pushed, Result

CODE = Path(__file__).with_name("registry_model.py")
_HASH, _BASE = "fvt.manifest_sha256", "fvt.base_model"
_HEALTH_SECONDS = 10
# What a serving machine installs; the versions are those that the result was made with.
_LIBRARIES = ("torch", "transformers", "tokenizers")


def target(name: str) -> "Registry":
    """Return the target of `mlflow://name` and `models:/name`."""
    if not name or set(name) & set("/:@#?"):
        raise PushError(
            f"{name!r} is no name of a registered model. Give mlflow://NAME, where NAME has none "
            "of / : @ # ?; MLflow gives the version."
        )
    return Registry(name)


class Registry:
    """A registered model of the server that MLFLOW_TRACKING_URI names."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.name = f"models:/{model}"
        self.uri = os.environ.get("MLFLOW_REGISTRY_URI") or os.environ.get("MLFLOW_TRACKING_URI")

    def check(self) -> None:
        """Ask the server whether it is there; MLflow itself would ask for minutes."""
        if not self.uri or not os.environ.get("MLFLOW_TRACKING_URI"):
            # MLflow would write into a folder here, and nobody would find it.
            raise PushError("Which MLflow? Set MLFLOW_TRACKING_URI, such as http://mlflow:5000.")
        if self.uri.startswith(("http://", "https://")):
            try:
                httpx.get(f"{self.uri.rstrip('/')}/health", timeout=_HEALTH_SECONDS)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise PushError(
                    f"The MLflow server at {self.uri} does not answer: "
                    f"{error or type(error).__name__}. Is it up, and is MLFLOW_TRACKING_URI right?"
                ) from error

    def send(self, result: Result, options: Options) -> Pushed:
        """Register a version that is not there yet, load its files back and compare them."""
        manifest_hash = result.files[-1].sha256
        with self._in_words():
            version = self._find(manifest_hash) or self._register(result, manifest_hash)
            uri = f"{self.name}/{version}"
            with tempfile.TemporaryDirectory(prefix="fvt-push-") as scratch:
                arrived = Path(mlflow.artifacts.download_artifacts(uri, dst_path=scratch))
                folders = [path.parent for path in arrived.glob("artifacts/*/manifest.json")]
                faults = verify(folders[0]).faults if folders else ["manifest.json is missing"]
        if faults:
            raise PushError(f"{uri} is not what was sent: {'; '.join(faults[:3])}. Delete it.")
        options.on_bytes(result.bytes, result.bytes)
        page = None
        if self.uri and self.uri.startswith("http"):
            page = f"{self.uri.rstrip('/')}/#/models/{self.model}/versions/{version}"
        return Pushed(uri, len(result.files), version, page)

    def _find(self, manifest_hash: str) -> str | None:
        """Return the version that has this result already."""
        versions = mlflow.MlflowClient().search_model_versions(f"name = '{_quoted(self.model)}'")
        same = (row for row in versions if row.tags.get(_HASH) == manifest_hash)
        return next((str(row.version) for row in same), None)

    def _register(self, result: Result, manifest_hash: str) -> str:
        kind = kind_of(result.folder)
        with mlflow.start_run(run_name=f"fvt push {self.model}"):
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(CODE),
                artifacts={"model": str(result.folder)},
                model_config={"role": kind.role},
                signature=ModelSignature(inputs=_columns(kind)),
                pip_requirements=requirements(result.manifest.versions, kind),
                registered_model_name=self.model,
                metadata={"base_model": result.manifest.base_model},
            )
        version = str(logged.registered_model_version)
        client = mlflow.MlflowClient()
        # Last, so that a version that bears it is whole.
        for key, value in ((_BASE, result.manifest.base_model), (_HASH, manifest_hash)):
            client.set_model_version_tag(self.model, version, key, value)
        return version

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except MlflowException as error:
            if error.get_http_status_code() in {401, 403}:
                raise PushError(
                    f"MLflow at {self.uri} refuses {self.name}. Set MLFLOW_TRACKING_TOKEN, or "
                    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, of someone who may "
                    "register models."
                ) from error
            raise PushError(f"MLflow at {self.uri} refuses {self.name}: {error}") from error
        except ImportError as error:
            raise PushError(
                f"MLflow cannot store models without {error.name}: pip install "
                "'fvt-client[mlflow]'."
            ) from error


def kind_of(folder: Path) -> ModelKind:
    """Decide what the model of a folder is; raises PushError."""

    def read(path: str) -> Any:
        file = folder / path
        return json.loads(file.read_bytes()) if file.is_file() else None

    if not (folder / CONFIG).is_file() and read("modules.json") is None:
        raise PushError(f"{folder} holds no model: it has no {CONFIG}.")
    try:
        return decide_kind(read)
    except (UserFault, ValueError) as error:
        raise PushError(f"The model in {folder} cannot be read: {error}") from error


def _columns(kind: ModelKind) -> Schema:
    names = ("text", "text_pair") if kind.role == "cross_encoder" else ("text",)
    return Schema([ColSpec(DataType.string, name) for name in names])


def requirements(versions: dict[str, str], kind: ModelKind) -> list[str]:
    """Return what the model needs where it is loaded."""
    made_with = {name: versions[name].partition("+")[0] for name in _LIBRARIES if name in versions}
    pins = [f"{name}=={version}" for name, version in made_with.items()]
    library = ["sentence-transformers"] if kind.library == "sentence-transformers" else []
    return [*pins, *library, "pandas"]


def _quoted(name: str) -> str:
    return name.replace("'", "\\'")
