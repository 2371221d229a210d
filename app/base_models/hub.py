"""Fetch base models from the Hugging Face hub: configs first, then safe files, at one commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, ModelInfo, hf_hub_download, snapshot_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    SafetensorsParsingError,
)

from app.base_models.checks import (
    CONFIGS,
    check_config_types,
    check_configs,
    check_files,
    check_size,
)
from app.base_models.files import invalid_model, read_any_json
from app.base_models.weights import BITS, StoredTensor, check_weight_names
from app.contract.errors import UserFault
from app.contract.model_kinds import (
    MODULES,
    SENTENCE_TRANSFORMERS,
    TRANSFORMER_SETTINGS,
    decide_kind,
    join,
)

TIMEOUT_SECONDS = 20
WEIGHTS = "model*.safetensors"
MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.txt",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    *TRANSFORMER_SETTINGS,
)
FILES = [
    *MODEL_FILES,
    # For the license and the languages, which the card of the result names too.
    "README.md",
    MODULES,
    SENTENCE_TRANSFORMERS,
    "[0-9]_*/config.json",
    "[0-9]_*/model.safetensors",
]


ADVICE = (
    "Submit the job again later, or have whoever runs this installation put the model into "
    "FVT_MODELS_DIR as `org/name`, let it reach huggingface.co (HTTPS_PROXY, HF_ENDPOINT), or "
    "turn the hub off (FVT_HUB=false), so that only models that are here are taken."
)


class HubUnreachableError(Exception):
    """Says that the hub does not answer: not the user's fault, and worth another attempt later."""

    code = "hub_unreachable"
    retryable = True


def fetch(base_model: str, revision: str | None, max_bytes: int) -> tuple[Path, str]:
    """Download a model; returns its folder and the commit that `revision` stood for.

    Raises `UserFault` and `HubUnreachableError`.
    """
    with _explaining(base_model, revision):
        info = _describe(base_model, revision, TIMEOUT_SECONDS, sizes=True)
        files = info.siblings or []
        names = {file.rfilename for file in files}
        commit = str(info.sha)

        def download(name: str) -> Path:
            return Path(hf_hub_download(base_model, name, revision=commit))

        def read(name: str) -> Any:
            return read_any_json(download(name)) if name in names else None

        inner = decide_kind(read).transformer
        folder = Path()
        for name in names.intersection(join(inner, config) for config in CONFIGS):
            folder = download(name).parent
        check_configs(folder)
        check_files(
            {Path(name).name for name in names if str(PurePosixPath(name).parent) == (inner or ".")}
        )
        weights = [file for file in files if fnmatch(file.rfilename, join(inner, WEIGHTS))]
        check_size(sum(file.size or 0 for file in weights), max_bytes)
        wanted = [*FILES, *(join(inner, name) for name in MODEL_FILES)]
        return Path(snapshot_download(base_model, revision=commit, allow_patterns=wanted)), commit


def _describe(base_model: str, revision: str | None, seconds: float, *, sizes: bool) -> ModelInfo:
    """Ask the hub what a model is; raises `HubUnreachableError` where the answer makes no sense."""
    try:
        info = HfApi().model_info(
            base_model, revision=revision, timeout=seconds, files_metadata=sizes
        )
        names = [file.rfilename for file in info.siblings or []]
        "".join(names)  # raises TypeError where one is no text
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        # What is not huggingface.co may answer: a proxy, a page to log in.
        raise HubUnreachableError(
            f"{base_model!r} is not on this machine, and what answers as the Hugging Face hub does "
            f"not describe it: {_brief(error)}. {ADVICE}"
        ) from error
    return info


def look_up(base_model: str, revision: str | None, seconds: float) -> None:
    """Ask the hub for a model's names of files, in so many seconds; refuses what they rule out.

    Raises `UserFault` and `HubUnreachableError`.
    """
    with _explaining(base_model, revision):
        info = _describe(base_model, revision, seconds, sizes=False)
    check_files({file.rfilename for file in info.siblings or []})


MOST_WEIGHT_FILES = 16


def read_headers(
    base_model: str, revision: str | None, seconds: float, max_bytes: int
) -> tuple[dict[str, Any], list[StoredTensor]]:
    """Read the configs of a model and the headers of its weights on the hub, and nothing else.

    Returns the content of its JSON files by path, and its tensors. Raises `UserFault` and
    `HubUnreachableError`.
    """
    with _explaining(base_model, revision):
        info = _describe(base_model, revision, seconds, sizes=True)
        siblings, commit = info.siblings or [], str(info.sha)
        sizes = {file.rfilename: file.size or 0 for file in siblings}
        files = dict[str, Any]()

        def read(name: str) -> Any:
            if name in sizes and name not in files:
                path = hf_hub_download(base_model, name, revision=commit, etag_timeout=seconds)
                files[name] = read_any_json(Path(path))
            return files.get(name)

        inner = decide_kind(read).transformer
        for name in CONFIGS:
            read(join(inner, name))
        check_config_types({name: files.get(join(inner, name)) for name in CONFIGS})
        weights = [name for name in sizes if fnmatch(name, join(inner, WEIGHTS))]
        check_size(sum(sizes[name] for name in weights), max_bytes)
        check_weight_names(PurePosixPath(name).name for name in sizes)
        try:
            return files, [
                StoredTensor(name, tensor.dtype, list(tensor.shape), 0)
                for file in weights[:MOST_WEIGHT_FILES]
                for name, tensor in HfApi()
                .parse_safetensors_file_metadata(base_model, file, revision=commit)
                .tensors.items()
                if tensor.dtype in BITS
            ]
        except (SafetensorsParsingError, AttributeError, KeyError, TypeError) as error:
            raise invalid_model("its weights are not safetensors files") from error


@contextmanager
def _explaining(base_model: str, revision: str | None) -> Iterator[None]:
    try:
        yield
    except RevisionNotFoundError as error:
        raise UserFault(
            "revision_not_found",
            f"The model {base_model!r} has no revision {revision!r}. Give a branch, a tag or a "
            "commit of it, or leave it out.",
        ) from error
    except RepositoryNotFoundError as error:
        raise UserFault(
            "base_model_not_found",
            f"There is no model {base_model!r} on the hub, or it is closed to this installation. "
            "`GET /v1/base-models` lists those that are here.",
        ) from error
    except OfflineModeIsEnabled as error:
        raise HubUnreachableError(
            f"{base_model!r} is not on this machine, and the Hugging Face hub is not asked, since "
            f"HF_HUB_OFFLINE is set. {ADVICE}"
        ) from error
    except (HTTPError, OSError) as error:
        raise HubUnreachableError(
            f"{base_model!r} is not on this machine, and the Hugging Face hub did not give it: "
            f"{_brief(error)}. {ADVICE}"
        ) from error


def _brief(error: Exception) -> str:
    """Return the first line of an error's message, which may hold a whole page."""
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else type(error).__name__
