"""The Hugging Face hub: a result as a model repository."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoUrl,
    get_token,
)
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from .._errors import PushError
from ..verify import ManifestFile
from .target import Options, Pushed, Result

HUB = "https://huggingface.co"
# The hub makes it itself, to say which files are large.
_ATTRIBUTES = ".gitattributes"
# Also broken connections, whichever HTTP library the installed version of the hub's stands on.
_HTTP_ERRORS: tuple[type[Exception], ...] = (HfHubHTTPError, HfHubHTTPError.__bases__[0])
_MESSAGE = "Add a model compressed by Fast Vocabulary Transfer"


def target(name: str) -> "Repository":
    """Return the target of `hf://name`."""
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise PushError(f"{name!r} is no name of a repository: {error}") from error
    if "/" not in name:
        raise PushError(f"Whose repository is it? Give hf://ORG/{name} or hf://USER/{name}.")
    return Repository(name)


class Repository:
    """A model repository of the hub that HF_ENDPOINT names, as the caller's token may write it."""

    def __init__(self, repo: str) -> None:
        self.repo = repo
        self.endpoint = os.environ.get("HF_ENDPOINT") or HUB
        self.name = f"hf://{repo}"

    def check(self) -> None:
        """Ask the hub whose token it is."""
        if not get_token():
            raise PushError(
                "There is no token for the hub. Make one that may write at "
                f"{self.endpoint}/settings/tokens, then run `hf auth login` or set HF_TOKEN."
            )
        try:
            self._api.whoami(cache=False)
        except _HTTP_ERRORS as error:
            raise self._in_words(error) from error

    def send(self, result: Result, options: Options) -> Pushed:
        """Make the repository where it is not there, and commit all files at once."""
        try:
            there = self._tree(None)
            if there is None:
                made: RepoUrl = self._api.create_repo(self.repo, private=not options.public)
                self.repo, there = made.repo_id, self._tree(None) or {}
            commit = self._commit(result, there, options)
            self._compare(result, self._tree(commit) or {})
        except _HTTP_ERRORS as error:
            raise self._in_words(error) from error
        except RuntimeError as error:
            # A large file that did not get through, with the reason behind it.
            raise PushError(
                f"{error} {error.__cause__ or ''} Push again: what is there is not sent again."
            ) from error
        except ValueError as error:
            # The hub's check of the card's front matter.
            raise PushError(f"The hub refuses {self.name}: {error}") from error
        options.on_bytes(result.bytes, result.bytes)
        return Pushed(self.name, len(result.files), commit, f"{self.endpoint}/{self.repo}")

    @property
    def _api(self) -> HfApi:
        return HfApi(endpoint=self.endpoint, library_name="fvt-client")

    def _tree(self, revision: str | None) -> dict[str, RepoFile] | None:
        """Return the files by path; None where there is no repository that the token may see."""
        try:
            entries = self._api.list_repo_tree(self.repo, recursive=True, revision=revision)
            return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}
        except RepositoryNotFoundError:
            return None

    def _commit(self, result: Result, there: dict[str, RepoFile], options: Options) -> str:
        """Bring the repository to exactly these files; returns the commit."""
        changed = [file for file in result.files if not _is_same(result, file, there)]
        foreign = sorted(set(there) - {file.path for file in result.files} - {_ATTRIBUTES})
        in_the_way = sorted({*foreign, *(file.path for file in changed if file.path in there)})
        if in_the_way and not options.replace:
            raise PushError(
                f"{self.name} holds other files: {', '.join(in_the_way[:3])}. Name another "
                "repository, or replace what is there (`--replace`); its history keeps it."
            )
        if not in_the_way and not changed:
            head = self._api.repo_info(self.repo).sha
            assert head
            return head
        adds = [CommitOperationAdd(file.path, result.folder / file.path) for file in changed]
        deletes = [CommitOperationDelete(path) for path in foreign]
        info = self._api.create_commit(self.repo, [*adds, *deletes], commit_message=_MESSAGE)
        return info.oid

    def _compare(self, result: Result, there: dict[str, RepoFile]) -> None:
        if other := [file.path for file in result.files if not _is_same(result, file, there)]:
            raise PushError(
                f"{', '.join(other[:3])} arrived in {self.name} as other bytes. Push again."
            )

    def _in_words(self, error: Exception) -> PushError:
        if not isinstance(error, HfHubHTTPError):
            return PushError(
                f"The hub at {self.endpoint} does not answer: {error or type(error).__name__}. "
                "Is HF_ENDPOINT right, and is the network up?"
            )
        status = error.response.status_code
        if status == httpx.codes.UNAUTHORIZED:
            return PushError(
                f"The hub at {self.endpoint} does not know this token. Make another one at "
                f"{self.endpoint}/settings/tokens, then run `hf auth login` or set HF_TOKEN."
            )
        if status in {httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND}:
            return PushError(
                f"This token may not write {self.name}. Take a token with the right to write "
                f"there, or name a repository of your own. The hub says: {_said(error)}"
            )
        return PushError(f"The hub refuses {self.name} ({status}): {_said(error)} Try again later.")


def _said(error: HfHubHTTPError) -> str:
    return error.server_message or str(error)


def _is_same(result: Result, file: ManifestFile, there: dict[str, RepoFile]) -> bool:
    """Compare a file with the hash that the hub has of it: sha256 of large ones, else git's."""
    found = there.get(file.path)
    if found is None or found.size != file.bytes:
        return False
    if found.lfs:
        return found.lfs.sha256 == file.sha256
    return found.blob_id == _git_hash(result.folder / file.path)


def _git_hash(path: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            yield chunk
