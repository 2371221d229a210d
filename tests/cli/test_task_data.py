"""Files in place of corpora, in the recipe of `fvt compress`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.compress import with_task_data
from app.client import ApiError, FvtClient
from tests.support.serving import MODEL, Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service"), valkey) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[FvtClient]:
    with FvtClient(str(service.http.base_url)) as client:
        yield client


def test_files_are_sent_and_named_by_their_ids(
    service: Service, client: FvtClient, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"{name}.jsonl" for name in ("train", "test")}
    for file in files.values():
        file.write_text('{"text": "a", "label": 1}\n')
    task = {"type": "sequence_classification", "seeds": 1}
    recipe = {"seed": 3, "evaluation": {"latency": False, "task": task}}
    task.update({name: str(file) for name, file in files.items()})
    sent = with_task_data(client, recipe)
    ids = {name: sent["evaluation"]["task"][name] for name in files}
    assert sent == {"seed": 3, "evaluation": {"latency": False, "task": {**task, **ids}}}
    for corpus_id in ids.values():
        assert service.http.get(f"/v1/corpora/{corpus_id}").json()["format"] == "records"
    assert client.submit(MODEL, service.corpus(), sent).status == "queued"
    assert with_task_data(client, sent) == sent


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"evaluation": None},
        {"evaluation": {"task": None}},
        {"evaluation": {"task": "train.jsonl"}},
        {"evaluation": {"task": {"type": ["retrieval"]}}},
        {"evaluation": {"task": {"type": "retrieval", "documents": "absent.jsonl", "queries": 5}}},
    ],
)
def test_what_names_no_file_is_left_as_it_is(client: FvtClient, recipe: dict[str, Any]) -> None:
    assert with_task_data(client, recipe) == recipe


def test_a_file_of_other_rows_is_refused_by_its_line(client: FvtClient, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text("[1]\n")
    task = {"type": "sentence_pairs", "pairs": str(file)}
    with pytest.raises(ApiError, match="Line 1, entry 1 of the list, is not a JSON object"):
        with_task_data(client, {"evaluation": {"task": task}})
