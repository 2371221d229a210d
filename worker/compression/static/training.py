"""Train a vector a token so that their mean over a text is the base's vector of it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.corpus import Texts
from worker.compression.evaluation.clock import Clock
from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel
from worker.compression.models.reading import truncating_backend
from worker.compression.progress import Progress, part, silent
from worker.compression.recovery.data import sample_documents
from worker.compression.static.bags import Bags, read_bags, unknown_id
from worker.compression.static.teacher import Lesson, Lessons, read_lesson, read_lessons


@dataclass(frozen=True)
class StaticOptions:
    """Bound a training; ``seconds`` None is no limit.

    ``most_documents`` and ``most_queries`` are the texts that the base reads at most. Then come
    ``epochs`` over the documents, and over the queries. ``learning_rates`` are shares of the mean
    size of a number in a unit vector.
    """

    seconds: float | None = 60.0
    most_documents: int = 20_000
    most_queries: int = 60_000
    epochs: tuple[int, int] = (8, 4)
    learning_rates: tuple[float, float] = (0.2, 0.02)
    batch_size: int = 128


# Shares of the time: the tokens alone, the corpus, the texts by the base.
_TOKENS, _SAMPLED, _READING = 0.12, 0.15, 0.7
# Of the training, that on documents.
_DOCUMENTS = 0.5
# A token that makes up this share of a corpus counts half as much as a rare one (SIF, Arora 2017).
_FREQUENT = 1e-3
# Of the steps, those in which the rate rises; and of the rate, what is left at the end.
_RISING, _LEAST = 0.1, 0.1


@dataclass(frozen=True)
class StaticTraining:
    """Hold trained token vectors (tokens, width), on the CPU, and how the training went.

    ``losses`` are 1 - cosine with the base's vectors of the texts held out, by what was done: as it
    began, after documents, after queries; none of a tiny corpus. What would have raised the loss
    was undone. ``texts`` counts what the base read.
    """

    table: Tensor
    losses: dict[str, float] = field(default_factory=dict)
    texts: int = 0


def train_static(  # noqa: PLR0913
    base: LoadedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    *,
    options: StaticOptions = StaticOptions(),
    seed: int = 0,
    lessons: Lessons | None = None,
    progress: Progress | None = None,
) -> StaticTraining:
    """Train token vectors in the base's own space on texts that the evaluation does not see.

    The mean of the vectors of a text's tokens, without special ones, points where the base's vector
    of the text does. They start as the base's vectors of the tokens alone, made shorter the more
    frequent a token is; then 1 - cosine is minimized over documents, and over parts of them,
    sentences and windows of words, at a much lower rate. The base reads each text once; where it
    has before, ``lessons`` are what it has read, and ``texts`` are not opened. On a CPU the same
    arguments give the same vectors, as long as the clock does not end it.

    Raises:
        CorpusEmptyError: there is no text.

    """
    progress, clock = progress or silent, Clock(options.seconds)
    teacher = Encoder(base)
    backend = truncating_backend(tokenizer, teacher.max_length)
    own = Clock(clock.share(_TOKENS, 1.0))
    alone = _token_vectors(teacher, backend, own, part(progress, 0.0, _TOKENS))
    lessons = lessons or read_lessons(
        teacher,
        sample_documents(texts, seed, part(progress, _TOKENS, _SAMPLED)),
        seed=seed,
        most_documents=options.most_documents,
        most_queries=options.most_queries,
        clock=Clock(clock.share(_READING - _TOKENS, 1.0 - _TOKENS)),
        progress=part(progress, _SAMPLED, _READING),
    )
    trainer = _Trainer(backend, lessons, base.model.device, seed)
    trainer.start(alone)
    done = _READING
    phases = zip(("documents", "queries"), options.epochs, options.learning_rates, strict=True)
    for number, (name, epochs, rate) in enumerate(phases):
        own = Clock(clock.share(1.0 if number else _DOCUMENTS, 1.0))
        end = 1.0 if number else done + (1 - done) * _DOCUMENTS
        trainer.train(name, epochs, rate, options.batch_size, own, part(progress, done, end))
        done = end
    read = len(lessons.documents.texts) + len(lessons.queries.texts)
    return StaticTraining(trainer.table.cpu(), trainer.losses, read)


def _token_vectors(
    teacher: Encoder, backend: Tokenizer, clock: Clock, progress: Progress
) -> Tensor:
    """Return the base's unit vectors of the tokens' own texts (tokens, width).

    Those that there is no time for, and tokens of no text, are nought.
    """
    inside = getattr(backend.model, "continuing_subword_prefix", None) or ""
    tokens = (backend.decode([i]).strip() for i in range(backend.get_vocab_size()))
    texts = [token.removeprefix(inside) for token in tokens]
    rows = [i for i, text in enumerate(texts) if text]
    lesson = read_lesson(teacher, [texts[i] for i in rows], clock, progress)
    table = torch.zeros(len(texts), lesson.vectors.shape[1])
    table[torch.tensor(rows[: len(lesson.texts)])] = lesson.vectors
    return table


class _Trainer:
    """Hold the token vectors, and the lessons as bags of their tokens."""

    def __init__(
        self, backend: Tokenizer, lessons: Lessons, device: torch.device, seed: int
    ) -> None:
        self.table = torch.zeros(0)
        self.losses = dict[str, float]()
        self._unknown = unknown_id(backend)
        self._device = device
        self._seed = seed
        self._lessons = {
            "documents": self._read(backend, lessons.documents),
            "queries": self._read(backend, lessons.queries),
        }
        self._held_out = self._read(backend, lessons.held_out) if lessons.held_out else None

    def _read(self, backend: Tokenizer, lesson: Lesson) -> tuple[Bags, Tensor]:
        bags = read_bags(backend, lesson.texts).to(self._device)
        return bags, lesson.vectors.to(self._device)

    def start(self, alone: Tensor) -> None:
        rows = [bags.counts(len(alone)) for bags, _ in self._lessons.values()]
        counts = torch.stack(rows).sum(dim=0)
        self._take("start", weighted(alone.to(self._device), counts))

    def train(  # noqa: PLR0913, PLR0917
        self, name: str, epochs: int, rate: float, size: int, clock: Clock, progress: Progress
    ) -> None:
        bags, vectors = self._lessons[name]
        table = self.table.clone().requires_grad_()
        optimizer = torch.optim.Adam([table], lr=rate / math.sqrt(table.shape[1]))
        steps = max(1, epochs * -(-len(bags) // size))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_share_of_rate, steps))
        for step, rows in enumerate(self._order(len(bags), epochs, size)):
            if clock.is_over:
                break
            progress(step / steps, f"training token vectors on {name}, step {step} of {steps}")
            optimizer.zero_grad()
            means = bags.means(table, rows)
            loss = (1 - cosine_similarity(means, vectors[rows])).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        self._take(name, table.detach())

    def _order(self, count: int, epochs: int, size: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(self._seed)
        for _ in range(epochs):
            order: Tensor = torch.randperm(count, generator=generator).to(self._device)
            yield from (order[start : start + size] for start in range(0, count, size))

    def _take(self, name: str, table: Tensor) -> None:
        """Go on with other token vectors, unless texts held out say that they are worse."""
        if self._unknown is not None:
            table[self._unknown] = 0
        if self._held_out is None:
            self.table = table
            return
        bags, vectors = self._held_out
        loss = float((1 - cosine_similarity(bags.all_means(table), vectors)).mean())
        before = min(self.losses.values(), default=math.inf)
        if loss <= before:
            self.table = table
        self.losses[name] = min(loss, before)


def _share_of_rate(steps: int, step: int) -> float:
    """Return the share of the rate that a step has: it rises to all, and falls as a cosine."""
    rising = _RISING * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    fallen = (step - rising) / (steps - rising)
    return _LEAST + (1 - _LEAST) * (1 + math.cos(math.pi * fallen)) / 2


def weighted(vectors: Tensor, counts: Tensor) -> Tensor:
    """Return unit vectors (tokens, width) of tokens made shorter by how frequent each is.

    ``counts`` (tokens) are their occurrences in the corpus.
    """
    share = counts.to(vectors.dtype) / counts.sum().clamp(min=1)
    return vectors * (_FREQUENT / (_FREQUENT + share)).unsqueeze(1)
