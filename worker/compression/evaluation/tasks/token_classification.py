"""Score token classification: fine-tune, then F1 of whole entities on the test part."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from itertools import accumulate

import numpy as np
import torch
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from transformers import AutoModelForTokenClassification

from worker.compression.errors import TaskDataError
from worker.compression.evaluation.intervals import Array, resamples
from worker.compression.evaluation.tasks.fine_tuning import (
    Batch,
    FineTuned,
    FineTuningConfig,
    Logits,
    fine_tune,
    fine_tuned_scores,
    label_all,
    new_head,
)
from worker.compression.evaluation.tasks.scores import Figures
from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel
from worker.compression.progress import Progress, silent

# The words of a sentence and their tags, such as B-PER, I-PER and O.
Tagged = tuple[Sequence[str], Sequence[str]]
# The label of tokens that the loss passes over.
_IGNORED = -100
_TAG = re.compile(r"O|[BIES]-.+", re.DOTALL)

METRICS = {
    "entity_f1": f1_score,
    "entity_precision": precision_score,
    "entity_recall": recall_score,
}


def check_tags(train: Sequence[Tagged], test: Sequence[Tagged]) -> list[str]:
    """Return the tags in order.

    Raises:
        TaskDataError: words and tags do not align, a part has no entity, a tag is new in test, or
            is none of an entity.

    """
    for name, sentences in (("train", train), ("test", test)):
        for number, (words, tags) in enumerate(sentences):
            if len(words) != len(tags):
                raise TaskDataError(
                    f"Sentence {number} of the {name} part has {len(words)} words and {len(tags)} "
                    "tags: give each word one."
                )
        if not {tag for _, tags in sentences for tag in tags} - {"O"}:
            raise TaskDataError(f"The {name} part has no entity: give sentences with some.")
    trained = {tag for _, tags in train for tag in tags}
    if unseen := sorted({tag for _, tags in test for tag in tags} - trained):
        raise TaskDataError(
            f"The tag {unseen[0][:80]!r} of the test part is not in the train part: add examples "
            "of it."
        )
    if strange := sorted(tag for tag in trained if not _TAG.fullmatch(tag)):
        raise TaskDataError(
            f"The tag {strange[0][:80]!r} is none of an entity: give O, or B-, I-, E- or S- and a "
            "name, such as B-PER."
        )
    return sorted(trained)


def fine_tuned_tagger(  # noqa: PLR0913
    loaded: LoadedModel,
    train: Sequence[Tagged],
    test: Sequence[Tagged],
    *,
    seed: int = 0,
    protocol: FineTuningConfig = FineTuningConfig(),  # noqa: B008
    progress: Progress | None = None,
) -> FineTuned:
    """Return the model fine-tuned on ``train``, with a new head, to be scored on ``test``.

    A word has the tag of its first token; one that has none, since it was cut off, is O.

    Raises:
        OutOfMemoryError: a batch of the protocol does not fit in memory.

    """
    tags, encoder = check_tags(train, test), Encoder(loaded)

    def collate(examples: Sequence[Tagged]) -> Batch:
        return _encoded(encoder, examples, tags, protocol)[0]

    def score(logits: Logits, own: Progress) -> Figures:
        def predict(examples: Sequence[Tagged]) -> list[list[str]]:
            return _predicted(logits, encoder, examples, tags, protocol)

        predicted = label_all(test, predict, protocol, own)
        expected = [list(sentence_tags) for _, sentence_tags in test]
        return Figures(
            {name: float(metric(expected, predicted)) for name, metric in METRICS.items()},
            _draws(expected, predicted),
            len(expected),
        )

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = new_head(AutoModelForTokenClassification, loaded, len(tags))
        fine_tune(model, train, collate, protocol, seed, progress or silent)
    return FineTuned(model, loaded.tokenizer, score)


tagging_scores = partial(fine_tuned_scores, fine_tuned_tagger)
"""Return the metrics of a model that is fine-tuned so: `fine_tuned_scores`."""


def _draws(expected: list[list[str]], predicted: list[list[str]]) -> dict[str, Array]:
    """Return the metrics on resamples of the sentences, NaN where there is no entity."""
    counts = resamples(len(expected))
    if counts is None:
        return {}
    entities = [
        (set(get_entities(one)), set(get_entities(other)))
        for one, other in zip(expected, predicted, strict=True)
    ]
    rows = [(len(one & other), len(one), len(other)) for one, other in entities]
    found, there, given = (counts @ np.array(rows, dtype=np.float64)).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "entity_f1": 2 * found / (there + given),
            "entity_precision": found / given,
            "entity_recall": found / there,
        }


def _predicted(
    logits: Logits,
    encoder: Encoder,
    examples: Sequence[Tagged],
    tags: list[str],
    protocol: FineTuningConfig,
) -> list[list[str]]:
    batch, firsts = _encoded(encoder, examples, tags, protocol)
    batch.pop("labels")
    best = logits(batch).argmax(dim=-1)  # (sentences, tokens)
    predicted = [["O"] * len(words) for words, _ in examples]
    for row, places in enumerate(firsts):
        for word, place in places.items():
            predicted[row][word] = tags[int(best[row, place])]
    return predicted


def _encoded(
    encoder: Encoder, examples: Sequence[Tagged], tags: list[str], protocol: FineTuningConfig
) -> tuple[Batch, list[dict[int, int]]]:
    """Return inputs with labels, and of each sentence the place of each word's first token."""
    inputs = encoder.tokenizer(
        [" ".join(words) for words, _ in examples],
        padding=True,
        truncation=True,
        max_length=min(encoder.max_length, protocol.max_length),
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    labels = torch.full_like(inputs["input_ids"], _IGNORED)
    firsts = list[dict[int, int]]()
    for row, (words, word_tags) in enumerate(examples):
        places = first_tokens(words, inputs["offset_mapping"][row].tolist())
        for word, place in reversed(places.items()):
            labels[row, place] = tags.index(word_tags[word])
        firsts.append(places)
    batch = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    return {**batch, "labels": labels}, firsts


def first_tokens(words: Sequence[str], offsets: Sequence[Sequence[int]]) -> dict[int, int]:
    """Return the place of the first token of each word of a sentence, by characters.

    So any tokenizer will do, also one whose tokens span words: then its words share a token, which
    learns the tag of the first.
    """
    places: dict[int, int] = {}
    starts = list(accumulate((len(word) + 1 for word in words), initial=0))
    ends = [start - 1 for start in starts[1:]]
    for place, (start, end) in enumerate(offsets):
        word = bisect_right(ends, start)
        while word < len(words) and starts[word] < end:
            places.setdefault(word, place)
            word += 1
    return dict(sorted(places.items()))
