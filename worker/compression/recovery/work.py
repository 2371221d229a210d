"""What a step computes, from the models and the corpus."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.loading import LoadedModel
from worker.compression.recovery.budget import Load
from worker.compression.recovery.texts.draws import CHARACTERS_PER_TOKEN, Drawer
from worker.compression.recovery.texts.rounds import Objective
from worker.compression.recovery.texts.sample import Documents
from worker.compression.transfer.vocabulary import vocabulary_tensors

_PROBED = 256
"""Texts from which the tokens of a step are told."""


@dataclass(frozen=True)
class Models:
    """Teacher and student with their tokenizers."""

    base: LoadedModel
    student: PreTrainedModel
    domain_tokenizer: PreTrainedTokenizerBase


def load_of(
    models: Models, objectives: Sequence[Objective], drawer: Drawer, documents: Documents
) -> Load:
    """Return the load of a step, told from some of the texts."""
    texts = drawer.texts(0, min(_PROBED, len(documents.training)))
    characters = sum(map(len, documents.training)) / len(documents.training)
    work = 0.0
    for objective in objectives:
        tokens = sum(example.tokens for example in objective.examples(texts, 0) if example)
        work += tokens / len(texts) * _work_per_token(models, objective.name)
    return Load(
        len(documents.training),
        characters / (drawer.max_length * CHARACTERS_PER_TOKEN),
        max(work, 1.0),
        drawer.parts,
    )


def _work_per_token(models: Models, name: str) -> float:
    """Return floating-point operations: 2 a weight forward, 4 backward (Kaplan et al. 2020)."""
    work = 6.0 * _weights(models.student, with_tables=name != "distill")
    return work + (2.0 * _weights(models.base.model, False) if name == "distill" else 0.0)


def _weights(model: PreTrainedModel, with_tables: bool) -> int:
    """Return the weights that a token meets: a table only where a head multiplies by it."""
    table = max(t.numel() for t in vocabulary_tensors(model).input_tables)
    everything = sum(parameter.numel() for parameter in model.parameters())
    return max(1, everything if with_tables else everything - table)
