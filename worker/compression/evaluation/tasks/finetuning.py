"""One protocol of fine-tuning for every model: the same steps, the same order of examples."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from transformers import get_linear_schedule_with_warmup

from worker.compression.loading import LoadedModel
from worker.compression.progress import Progress

Example = TypeVar("Example")
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Protocol:
    """What is the same for base and compressed model."""

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    warm_up: float = 0.1
    max_length: int = 128


def new_head(auto_class: Any, loaded: LoadedModel, labels: int, **config: Any) -> Any:
    """Return a model in float32 with a head for so many labels, on the device of ``loaded``.

    What head the checkpoint has, such as one for other labels, is left out where it does not fit.
    """
    model = auto_class.from_pretrained(
        loaded.folder,
        num_labels=labels,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        **config,
    )
    return model.to(loaded.model.device)


def batches(
    examples: Sequence[Example], size: int, progress: Progress
) -> Iterator[Sequence[Example]]:
    """Yield examples in their order, so many at a time, reporting how many are done."""
    for start in range(0, len(examples), size):
        progress(start / len(examples), f"{start} of {len(examples)} examples labelled")
        yield examples[start : start + size]


def fine_tune(  # noqa: PLR0913, PLR0917
    model: Any,
    examples: Sequence[Example],
    collate: Callable[[Sequence[Example]], Batch],
    protocol: Protocol,
    seed: int,
    progress: Progress,
) -> None:
    """Train a model with its own loss; the seed orders examples and draws what is dropped."""
    steps = protocol.epochs * math.ceil(len(examples) / protocol.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), protocol.learning_rate, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
        optimizer, int(protocol.warm_up * steps), steps
    )
    generator = torch.Generator().manual_seed(seed)
    model.train()
    done = 0
    for _ in range(protocol.epochs):
        order: list[int] = torch.randperm(len(examples), generator=generator).tolist()
        for start in range(0, len(order), protocol.batch_size):
            progress(done / steps, f"fine-tuning, step {done} of {steps}")
            batch = collate(
                [examples[place] for place in order[start : start + protocol.batch_size]]
            )
            model(**{name: t.to(model.device) for name, t in batch.items()}).loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done += 1
    model.eval()
