"""Have the base read texts once: what a static encoder learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from worker.compression.evaluation.clock import Clock
from worker.compression.models.encoder import Encoder, sentence_vectors
from worker.compression.progress import Progress, part
from worker.compression.recovery.data import Documents, TextSampler

# Texts between looks at the clock, and those that are read whatever it says.
_CHUNK = 128
# Characters of documents for each part that is read: a window has 60, so each word is in a few.
_CHARACTERS_A_PART = 24
# Of texts held out, for each document held out.
_HELD_OUT_PARTS = 4


@dataclass(frozen=True)
class Lesson:
    """Hold texts and the base's unit vectors of them (texts, width), on the CPU."""

    texts: list[str]
    vectors: Tensor


@dataclass(frozen=True)
class Lessons:
    """Hold what is learnt from: documents, then parts of them as queries; and what is held out."""

    documents: Lesson
    queries: Lesson
    held_out: Lesson | None


def read_lesson(
    teacher: Encoder,
    texts: Sequence[str],
    clock: Clock,
    progress: Progress,
    known: Lesson | None = None,
) -> Lesson:
    """Have the teacher read texts, as many as there is time for; the first ones in any case.

    A text that occurs again, or that is ``known`` already, is not read again. On a processor that
    multiplies matrices of bfloat16, the teacher computes in it: three times as many texts.
    """
    vectors = dict(zip(known.texts, known.vectors, strict=True)) if known else {}
    done, halves = 0, teacher.model.device.type == "cpu" and multiplies_bfloat16()
    while done < len(texts) and not (done and clock.is_over):
        chunk = texts[done : done + _CHUNK]
        own = part(progress, done / len(texts), (done + len(chunk)) / len(texts))
        new = [text for text in dict.fromkeys(chunk) if text not in vectors]
        if new:
            with torch.autocast("cpu", torch.bfloat16, enabled=halves):
                read = sentence_vectors(teacher, new, own)
            vectors.update(zip(new, normalize(read.float()), strict=True))
        done += len(chunk)
    return Lesson(list(texts[:done]), torch.stack([vectors[text] for text in texts[:done]]))


def multiplies_bfloat16() -> bool:
    """Tell whether this processor has instructions for matrices of bfloat16 (AMX)."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def read_lessons(  # noqa: PLR0913
    teacher: Encoder,
    documents: Documents,
    *,
    seed: int,
    most_documents: int,
    most_queries: int,
    clock: Clock,
    progress: Progress,
) -> Lessons:
    """Have the teacher read documents, then sentences and windows of them, and some held out.

    Documents have most of the time: they come first, and teach most.
    """
    longest = teacher.max_length
    whole = TextSampler(documents.training, seed, longest, parts=False)
    parts = TextSampler(documents.training, seed, longest, parts=True)
    held_out = None
    if documents.held_out:
        texts = [*documents.held_out, *_parts(documents.held_out, seed, longest)]
        own = Clock(clock.share(0.08, 1.0))
        held_out = read_lesson(teacher, texts, own, part(progress, 0.0, 0.1))
    count = min(most_documents, len(documents.training))
    own = Clock(clock.share(0.8, 1.0))
    read = read_lesson(teacher, whole.texts(0, count), own, part(progress, 0.1, 0.3))
    useful = max(count, sum(map(len, documents.training)) // _CHARACTERS_A_PART)
    most = min(most_queries, useful)
    own_progress = part(progress, 0.3, 1.0)
    # A quarter of the parts are whole documents.
    queries = read_lesson(teacher, parts.texts(0, most), clock, own_progress, known=read)
    return Lessons(read, queries, held_out)


def _parts(documents: Sequence[str], seed: int, longest: int) -> list[str]:
    sampler = TextSampler(documents, seed, longest, parts=True)
    return sampler.texts(0, _HELD_OUT_PARTS * len(documents))
