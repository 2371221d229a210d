"""An objective: embeddings that are small, as the mean of their squares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from worker.compression.recovery.objectives.objective import Objective, ObjectiveContext


@dataclass(frozen=True)
class Tokens:
    ids: list[int]

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def tokens(self) -> int:
        return len(self.ids)


class SmallEmbeddings:
    """The mean square of the embeddings of a text's tokens."""

    def __init__(self, context: ObjectiveContext) -> None:
        self._context = context

    def examples(self, texts: Sequence[str], _: int) -> list[Tokens | None]:
        tokenizer, length = self._context.domain_tokenizer, self._context.max_length
        rows = [tokenizer(text, truncation=True, max_length=length)["input_ids"] for text in texts]
        return [Tokens(row) if row else None for row in rows]

    def num_items(self, examples: Sequence[Tokens]) -> tuple[int, ...]:
        return (sum(example.length for example in examples),)

    def loss(self, student: Any, examples: Sequence[Tokens], num_items: Any) -> torch.Tensor:
        ids = torch.tensor([i for example in examples for i in example.ids])
        embedded: torch.Tensor = student.get_input_embeddings()(ids.to(student.device))
        return embedded.square().mean(-1).sum() / int(num_items[0])


SMALL_EMBEDDINGS = Objective(
    name="toy",
    label="small embeddings",
    needs="any model",
    can_train=lambda _: True,
    build=SmallEmbeddings,
)
