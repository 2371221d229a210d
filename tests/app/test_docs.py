import json
from pathlib import Path

import pytest

from app import docs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the documents go in this test."""
    monkeypatch.setattr(docs, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(docs, "EXCEPTIONS", tmp_path / "client" / "errors.py")
    return tmp_path / "docs"


def test_written_documents_do_not_differ_until_the_code_does(folder: Path) -> None:
    assert "+| `FVT_DATA_DIR`" in docs.differences()
    docs.write()
    assert docs.differences() == ""
    settings = folder / "settings.md"
    settings.write_text(settings.read_text().replace("`FVT_HUB`", "`FVT_HUBB`"))
    assert "-| `FVT_HUBB`" in docs.differences()


def test_every_call_is_described(folder: Path) -> None:
    docs.write()
    document = json.loads((folder / "openapi.json").read_text())
    ids = set()
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            assert call["summary"], (method, path)
            assert call["tags"], (method, path)
            ids.add(call["operationId"])
            for status, answer in call["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"]
            if path.startswith("/v1/"):
                assert "401" in call["responses"]
                assert call["security"]
    assert len(ids) == sum(map(len, document["paths"].values()))
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_upload_is_described_though_it_is_parsed_by_hand(folder: Path) -> None:
    docs.write()
    document = json.loads((folder / "openapi.json").read_text())
    body = document["paths"]["/v1/corpora"]["post"]["requestBody"]["content"]
    form = body["multipart/form-data"]["schema"]["properties"]
    assert set(form) == {"file", "name", "format", "text_field"}
    assert "application/octet-stream" in body
