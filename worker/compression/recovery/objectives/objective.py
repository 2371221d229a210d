"""Define what an objective of recovery is: an entry of the registry, and the loss it builds."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.models.loading import LoadedModel
from worker.compression.models.pooling import AfterPooling, Pooling, after_pooling
from worker.compression.models.traits import ModelTraits


class Example(Protocol):
    """Hold a text that was made ready for a loss."""

    @property
    def length(self) -> int:
        """Return the positions it takes in a batch."""
        ...

    @property
    def tokens(self) -> int:
        """Return the tokens of it that the student reads."""
        ...


class Loss(Protocol):
    """Make texts ready, and compute the loss of a student on them.

    A step is computed in micro-batches and by several processes. Each loss is a mean over all items
    of the step (texts, words, predicted tokens), so every part is divided by their total number.
    """

    def examples(self, texts: Sequence[str], start: int) -> list[Any]:
        """Return one `Example` a text, None where there is nothing to learn.

        ``start`` is the number of the first text in the run; it seeds the noise.
        """
        ...

    def num_items(self, examples: Sequence[Any]) -> tuple[int, ...]:
        """Return how many items of each kind the loss is a mean over."""
        ...

    def loss(self, student: PreTrainedModel, examples: Sequence[Any], num_items: Any) -> Tensor:
        """Return the part of a step's loss that these examples contribute, a scalar.

        ``num_items`` are those of the whole step, over all micro-batches and processes.
        """
        ...


@dataclass(frozen=True)
class ObjectiveContext:
    """Hold what a loss may be built from; ``device`` is where the student is trained.

    ``references`` are documents that texts may be compared with; only sentence encoders have some.
    ``limits_outliers`` says that the student is to learn to have none.
    """

    base: LoadedModel
    student: PreTrainedModel
    domain_tokenizer: PreTrainedTokenizerBase
    max_length: int
    pooling: Pooling
    seed: int
    device: torch.device
    references: Sequence[str] = ()
    limits_outliers: bool = False

    @property
    def base_tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the teacher's tokenizer."""
        return self.base.tokenizer

    @cached_property
    def after_pooling(self) -> AfterPooling:
        """Return what the base's program makes of a pooled vector."""
        return after_pooling(self.base.folder, self.base.kind)

    @cached_property
    def teacher(self) -> PreTrainedModel:
        """Return the base in float32, on the device and in evaluation mode.

        It is a copy, unless the base is all of that already.
        """
        model = self.base.model
        on_device = model.device.type == self.device.type
        if on_device and model.dtype == torch.float32 and not model.training:
            return model
        copied: PreTrainedModel = copy.deepcopy(model)
        torch.nn.Module.to(copied, self.device, torch.float32)
        copied.train(mode=False)
        return copied


@dataclass(frozen=True)
class AutoRule:
    """Say when ``auto`` takes an objective.

    The smallest priority with a rule that holds decides; all objectives that have such a rule are
    trained together. ``reason`` is for people.
    """

    priority: int
    applies_to: Callable[[ModelTraits], bool]
    reason: str
    only_with_fewer_layers: bool = False


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Describe an objective: all that the rest of the engine needs to know of it.

    Attributes:
        name: its name in a recipe.
        label: its name for people.
        needs: what a model must be, in words that follow "needs".
        can_train: the same as a predicate.
        build: makes the loss of a run.
        auto_rules: when ``auto`` takes it; never without any.
        draws_parts: trains on sentences and windows of documents too, not on documents alone.
        learns_queries: a query by itself has as much to learn as a document.
        dropout: trains the student with the dropout of its config.
        needs_teacher: runs the base on every text as well.
        multiplies_table: the student's head multiplies by its whole embedding matrix.
        passes: draws of each document that a small corpus is good for.
        flops_per_weight: floating-point operations of the student for a token and a weight: 2
            forward, 4 backward (Kaplan et al. 2020, arXiv 2001.08361).

    """

    name: str
    label: str
    needs: str
    can_train: Callable[[ModelTraits], bool]
    build: Callable[[ObjectiveContext], Loss]
    auto_rules: tuple[AutoRule, ...] = ()
    draws_parts: bool = False
    learns_queries: bool = False
    dropout: bool = True
    needs_teacher: bool = False
    multiplies_table: bool = True
    passes: int = 30
    flops_per_weight: float = 6.0
