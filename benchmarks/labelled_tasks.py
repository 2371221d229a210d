"""The labelled sentences of ADE and CoNLL-2003, and models that learn them."""

import json
from pathlib import Path
from typing import Any

from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from worker.compression import LoadedModel
from worker.compression.evaluation.tasks.fine_tuning import FineTuned, FineTuningConfig, new_head
from worker.compression.evaluation.tasks.sequence_classification import fine_tuned_classifier
from worker.compression.evaluation.tasks.token_classification import fine_tuned_tagger

TASKS = ("ade", "conll2003")
METRIC = {"ade": "macro_f1", "conll2003": "entity_f1"}
HEADS = {"ade": AutoModelForSequenceClassification, "conll2003": AutoModelForTokenClassification}
Rows = list[dict[str, Any]]


class Task:
    """Labelled sentences: `train` and `test`, of each as many of the first rows as are given."""

    def __init__(
        self, name: str, data: Path, train: int | None = None, test: int | None = None
    ) -> None:
        self.name, folder = name, data / name
        self.train = _read(folder / "train.jsonl", train)
        self.test = _read(folder / "test.jsonl", test)

    def texts(self) -> list[str]:
        """Return the sentences of training, without their labels."""
        return [_text(row) for row in self.train]

    def test_texts(self) -> list[str]:
        return [_text(row) for row in self.test]

    def with_head(self, loaded: LoadedModel) -> Any:
        """Return a model with a head for the task's labels that has learnt nothing."""
        if self.name == "ade":
            labels = {row["label"] for row in self.train}
        else:
            labels = {tag for row in self.train for tag in row["tags"]}
        return new_head(HEADS[self.name], loaded, len(labels)).eval()

    def fine_tuned(self, loaded: LoadedModel, seed: int, protocol: FineTuningConfig) -> FineTuned:
        if self.name == "ade":
            train, test = (
                [(row["text"], str(row["label"])) for row in rows]
                for rows in (self.train, self.test)
            )
            return fine_tuned_classifier(loaded, train, test, seed=seed, protocol=protocol)
        tagged, others = (
            [(row["tokens"], row["tags"]) for row in rows] for rows in (self.train, self.test)
        )
        return fine_tuned_tagger(loaded, tagged, others, seed=seed, protocol=protocol)


def _read(file: Path, rows: int | None) -> Rows:
    lines = file.read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines[:rows]]


def _text(row: dict[str, Any]) -> str:
    text: str = row["text"] if "text" in row else " ".join(row["tokens"])
    return text
