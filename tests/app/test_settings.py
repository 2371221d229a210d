"""Settings: old names, and what cannot go together."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings


@pytest.mark.parametrize("name", ["FVT_DISPATCH_SECONDS", "FVT_DOORBELL_SECONDS"])
def test_a_setting_that_was_renamed_has_both_names(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "7.5")
    assert Settings().dispatch_seconds == 7.5


def test_the_new_name_goes_before_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FVT_DOORBELL_SECONDS", "1")
    monkeypatch.setenv("FVT_DISPATCH_SECONDS", "2")
    assert Settings().dispatch_seconds == 2


def test_redirects_need_an_object_store(tmp_path: Path) -> None:
    for blobs_url in ("", tmp_path.as_uri()):
        with pytest.raises(ValidationError, match="FVT_DOWNLOAD_REDIRECT=on needs an object store"):
            Settings(data_dir=tmp_path, blobs_url=blobs_url, download_redirect="on")
    assert Settings(blobs_url="s3://b", download_redirect="on").download_redirect == "on"


def test_what_is_left_empty_is_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FVT_KEEP_JOBS_DAYS", "")
    monkeypatch.setenv("FVT_KEEP_CORPORA_DAYS", "0.5")
    settings = Settings()
    assert (settings.keep_jobs_days, settings.keep_corpora_days) == (None, 0.5)
    with pytest.raises(ValidationError, match="greater than 0"):
        Settings(keep_artifacts_days=0)
