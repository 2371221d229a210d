"""Files in place of corpora, in the recipe of `fvt compress`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fvt_client import Client
from fvt_client.errors import EmptyCorpus, InvalidJsonl
from fvt_client.submission import with_data
from tests.support.serving import MODEL, Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service"), valkey) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(str(service.http.base_url)) as client:
        yield client


def test_files_are_sent_and_named_by_their_ids(
    service: Service, client: Client, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"{name}.jsonl" for name in ("train", "test")}
    for file in files.values():
        file.write_text('{"text": "a", "label": 1}\n')
    task = {"type": "sequence_classification", "seeds": 1}
    recipe = {"seed": 3, "evaluation": {"latency": False, "task": task}}
    task.update({name: str(file) for name, file in files.items()})
    sent = client.run(with_data(recipe, client.retries))
    ids = {name: sent["evaluation"]["task"][name] for name in files}
    assert sent == {"seed": 3, "evaluation": {"latency": False, "task": {**task, **ids}}}
    for corpus_id in ids.values():
        assert service.http.get(f"/v1/corpora/{corpus_id}").json()["format"] == "records"
    corpus = client.corpus(service.corpus())
    assert client.compress(MODEL, corpus, recipe=sent).status == "queued"
    assert client.run(with_data(sent, client.retries)) == sent


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
def test_what_names_no_file_is_left_as_it_is(client: Client, recipe: dict[str, Any]) -> None:
    assert client.run(with_data(recipe, client.retries)) == recipe


def test_a_file_of_other_rows_is_refused_by_its_line(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text("[1]\n")
    task = {"type": "sentence_pairs", "pairs": str(file)}
    steps = with_data({"evaluation": {"task": task}}, client.retries)
    with pytest.raises(InvalidJsonl, match="Line 1, entry 1 of the list, is not a JSON object"):
        client.run(steps)


@pytest.mark.parametrize("field", ["general_corpus_id", "queries_corpus_id"])
def test_a_file_without_text_is_named(client: Client, tmp_path: Path, field: str) -> None:
    file = tmp_path / "empty.txt"
    file.write_text("\n")
    steps = with_data({"recovery": {field: str(file)}}, client.retries)
    with pytest.raises(EmptyCorpus, match=rf"empty\.txt, for `{field}`: The corpus holds") as error:
        client.run(steps)
    assert error.value.status == 422


@pytest.mark.parametrize("field", ["general_corpus_id", "queries_corpus_id"])
def test_text_to_train_on_is_sent_as_a_corpus_of_text(
    service: Service, client: Client, tmp_path: Path, field: str
) -> None:
    file = tmp_path / "general.txt"
    file.write_text("It rained all day.\nThe river rose by a foot.\n")
    recipe = {"seed": 3, "recovery": {field: str(file), "general_share": 0.1}}
    sent = client.run(with_data(recipe, client.retries))
    corpus_id = sent["recovery"][field]
    assert sent == {"seed": 3, "recovery": {**recipe["recovery"], field: corpus_id}}  # type: ignore[dict-item]
    found = service.http.get(f"/v1/corpora/{corpus_id}").json()
    assert (found["format"], found["documents"]) == ("text", 2)
    assert client.run(with_data(sent, client.retries)) == sent
    # An estimate sends no file, and asks without it.
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("A rash since the evening.\n" * 50)
    assert client.estimate(MODEL, corpus, recipe=recipe).steps
