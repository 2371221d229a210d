"""Which base models this installation can compress, and where their files are.

Read by the front end (to list and to refuse early) and by the worker (to fetch).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.settings import Settings

Source = Literal["local", "packaged", "hub"]


@dataclass(frozen=True)
class LocatedModel:
    """A base model whose files lie in a local folder."""

    id: str
    source: Source
    path: Path
    commit: str | None
    """The hub's commit; for other sources the sha256 over the folder's weights and tokenizer."""


def check_submission(base_model: str, settings: Settings) -> int | None:
    """Refuse what can be refused without a download; returns the base vocabulary size if known.

    Raises `UserFault`: `invalid_model_id`, `base_model_not_found`, `remote_code_refused`,
    `unsafe_weights`, `unsupported_model`.
    """
    raise NotImplementedError


def locate(base_model: str, revision: str | None, settings: Settings) -> LocatedModel:
    """Find a base model, downloading it from the hub if allowed, pinned to a commit.

    Raises `UserFault` as `check_submission` does, and `revision_not_found`.
    """
    raise NotImplementedError
