"""Fine-tune every model by one protocol: the same steps, the same order of examples."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    get_linear_schedule_with_warmup,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.architectures import ARCHITECTURES
from app.contract.budgets import FOUR_BIT_SHARE
from app.contract.names import RUNTIMES
from worker.compression.errors import TaskUnsupportedError, within_memory
from worker.compression.evaluation.tasks.scores import Figures
from worker.compression.four_bits import rounded_weights
from worker.compression.models.loading import LoadedModel
from worker.compression.progress import Progress, part, silent

Example = TypeVar("Example")
Label = TypeVar("Label")
Batch = dict[str, Tensor]
# Computes the logits (examples, …, labels) of a head.
Logits = Callable[[Batch], Tensor]
# Passes that a row takes to be learnt from: the way back is twice the work of the way forward.
LEARNING = 3
_EIGHT = 8


@dataclass(frozen=True)
class FineTuningConfig:
    """Holds the protocol, the same for base and compressed model.

    ``four_bit_share`` is the share of the steps, the last ones, that compute with weights rounded
    to four bits, for a file of these.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    warm_up: float = 0.1
    max_length: int = 128
    four_bit_share: float = 0.0

    def for_files(self, runtimes: Iterable[str]) -> "FineTuningConfig":
        """Return the protocol of a model of which these files are made: same steps, same seeds."""
        rounds = any(RUNTIMES[name].bits < _EIGHT for name in runtimes)
        return replace(self, four_bit_share=FOUR_BIT_SHARE if rounds else 0.0)

    def learning_share(self, train: int, test: int) -> float:
        """Return the share of the work, on so many rows of train and test, that is training."""
        learning = LEARNING * self.epochs * train
        return learning / max(1, learning + test)

    def within_memory(self) -> AbstractContextManager[None]:
        """Name this protocol where a batch does not fit in memory."""
        return within_memory(
            f"Fine-tuning in batches of {self.batch_size:,} rows of up to {self.max_length:,} "
            "tokens",
            "a smaller evaluation.task.batch_size, or a smaller evaluation.task.max_length",
        )


@dataclass(frozen=True)
class FineTuned:
    """Holds a model with the head that it learnt, and its tokenizer.

    ``score`` returns the figures of the test part by what computes logits: the model itself, or a
    file that was exported of it.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    score: Callable[[Logits, Progress], Figures]

    def logits(self, batch: Batch) -> Tensor:
        """Return the logits of the model for inputs on any device."""
        inputs = {name: tensor.to(self.model.device) for name, tensor in batch.items()}
        logits: Tensor = self.model(**inputs).logits
        return logits


def fine_tuned_scores(  # noqa: PLR0913
    tune: Callable[..., FineTuned],
    loaded: LoadedModel,
    train: Sequence[Example],
    test: Sequence[Example],
    *,
    seed: int = 0,
    protocol: FineTuningConfig = FineTuningConfig(),
    progress: Progress | None = None,
) -> Figures:
    """Return the metrics on ``test`` of the model that ``tune`` fine-tunes on ``train``.

    Raises:
        OutOfMemoryError: a batch of the protocol does not fit in memory.

    """
    progress, share = progress or silent, protocol.learning_share(len(train), len(test))
    learning, rest = part(progress, 0, share), part(progress, share, 1)
    tuned = tune(loaded, train, test, seed=seed, protocol=protocol, progress=learning)
    return tuned.score(tuned.logits, rest)


def new_head(auto_class: Any, loaded: LoadedModel, labels: int, **config: Any) -> Any:
    """Return a model in float32 with a head for so many labels, on the device of ``loaded``.

    A head of the checkpoint, such as one for other labels, is left out where it does not fit.
    """
    model = auto_class.from_pretrained(
        loaded.weights_folder,
        num_labels=labels,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        **config,
    )
    return model.to(loaded.model.device)


def fine_tune(  # noqa: PLR0913, PLR0917
    model: Any,
    examples: Sequence[Example],
    collate: Callable[[Sequence[Example]], Batch],
    protocol: FineTuningConfig,
    seed: int,
    progress: Progress,
) -> None:
    """Train a model with its own loss; the seed orders examples and draws what is dropped.

    The last steps of a protocol for four bits see rounded weights, and change the exact ones.

    Raises:
        OutOfMemoryError: a step does not fit in memory.

    """
    steps = protocol.epochs * math.ceil(len(examples) / protocol.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), protocol.learning_rate, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
        optimizer, int(protocol.warm_up * steps), steps
    )
    exact_steps = steps - round(protocol.four_bit_share * steps)
    model.train()
    with protocol.within_memory():
        for done, drawn in enumerate(_drawn(examples, protocol, seed)):
            progress(done / steps, f"fine-tuning, step {done} of {steps}")
            batch = {name: t.to(model.device) for name, t in collate(drawn).items()}
            with rounded_weights(model) if done >= exact_steps else nullcontext():
                model(**batch).loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    model.eval()


def _drawn(
    examples: Sequence[Example], protocol: FineTuningConfig, seed: int
) -> Iterator[Sequence[Example]]:
    """Yield the examples of each step: all of them once an epoch, in an order of the seed's."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(protocol.epochs):
        order: list[int] = torch.randperm(len(examples), generator=generator).tolist()
        for start in range(0, len(order), protocol.batch_size):
            yield [examples[place] for place in order[start : start + protocol.batch_size]]


def label_all(
    examples: Sequence[Example],
    label: Callable[[Sequence[Example]], Sequence[Label]],
    protocol: FineTuningConfig,
    progress: Progress,
) -> list[Label]:
    """Return the labels of examples in their order, reporting how many are done.

    Raises:
        OutOfMemoryError: a batch does not fit in memory.

    """
    labels = list[Label]()
    with protocol.within_memory(), torch.inference_mode():
        for start in range(0, len(examples), protocol.batch_size):
            progress(start / len(examples), f"{start} of {len(examples)} examples labelled")
            labels += label(examples[start : start + protocol.batch_size])
    return labels


_CLASSES = {
    "sequence_classification": MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    "token_classification": MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
}


def reads_end(model_type: str) -> bool:
    """Return true if its head for sequences reads the end token, of which a text must have one."""
    row = ARCHITECTURES.get(model_type)
    return row is not None and row.classifier_reads_end


def check_output(loaded: LoadedModel, task: str) -> None:
    """Refuse a task, one of the two without training, that a model has no output for.

    Raises:
        TaskUnsupportedError: a cross-encoder cannot be scored on it.

    """
    if loaded.kind.role != "cross_encoder":
        return
    labels = loaded.model.config.num_labels
    if task == "retrieval" or labels != 1:
        has = "makes no vectors to search by" if task == "retrieval" else f"has {labels} scores"
        raise TaskUnsupportedError(
            f"The base model is a cross-encoder and {has}: choose another task, such as "
            "sentence_pairs with a cross-encoder of one score, or another base model."
        )


def check_head(loaded: LoadedModel, task: str) -> None:
    """Refuse a task, one of the two that need a head, that a model has no class for.

    Raises:
        TaskUnsupportedError: transformers has none, or the one it has reads an end token that the
            tokenizer does not give.

    """
    config, name = loaded.model.config, task.replace("_", " ")
    if type(config) not in _CLASSES[task]:
        raise TaskUnsupportedError(
            f"transformers has no class for {name} with a {config.model_type}: choose another base "
            "model, or another task."
        )
    needs_end = task == "sequence_classification" and reads_end(config.model_type)
    if needs_end and config.eos_token_id not in loaded.tokenizer("a")["input_ids"]:
        raise TaskUnsupportedError(
            f"The {name} of a {config.model_type} reads an end token, which the base tokenizer "
            "does not add to a text: choose another base model, or another task."
        )
