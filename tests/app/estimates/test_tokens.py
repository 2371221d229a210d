"""Tokens by our own count, against the tokenizers of every family and vocabularies as trained."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from app.base_models import catalog
from app.contract.budgets import DEFAULT_GENERAL_SHARE, Budget
from app.contract.recipe import Recipe
from app.contract.split import is_held_out
from app.estimates.counts import Reader, Split, count_tokens
from app.estimates.durations import OBJECTIVE_WORK, Work, planned_budget
from app.estimates.tokens import LONGEST_WORD, BaseTokenizer
from examples.corpus import write_docstrings
from tests.support.domain import domain_documents
from tests.support.matrix_tokenizers import FAMILIES, tokenizer_pair
from worker.compression import load_tokenizer, measure_tokens, train_tokenizers
from worker.compression.recovery.budget import resolve_budget
from worker.compression.recovery.objectives import OBJECTIVES
from worker.compression.recovery.options import RecoveryOptions

DOCUMENTS = domain_documents(1500)
SPLIT = Split(0.05, 0, len(DOCUMENTS))
HELD_OUT = [text for text in DOCUMENTS if is_held_out(text, SPLIT.fraction, SPLIT.seed)]
TRAINING = [text for text in DOCUMENTS if text not in HELD_OUT]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bases_tokens_of_every_family(family: str, tmp_path: Path) -> None:
    base, _ = tokenizer_pair(family)
    base.save_pretrained(tmp_path)
    ours = BaseTokenizer(json.loads((tmp_path / "tokenizer.json").read_text()))
    found = count_tokens(Reader(ours, "", None, 512), DOCUMENTS, SPLIT, [])
    backend = base.backend_tokenizer
    backend.no_truncation()
    encoded = backend.encode_batch(HELD_OUT, add_special_tokens=False)
    true = sum(len(text.ids) for text in encoded) / len(HELD_OUT)
    assert found.base == pytest.approx(true, rel=0.01 if family == "wordpiece" else 0.05)


def test_wordpiece_is_counted_exactly() -> None:
    path = catalog._packaged()
    assert path
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ours = BaseTokenizer(json.loads((path / "tokenizer.json").read_text()))
    texts = ["Hello, World!", "naïve café — 5µg_of a1b2", "日本語 text", "x" * 150, "ÄÖÜ ß ﬁ", ""]
    for text in [*texts, *DOCUMENTS[:50]]:
        pieces = sum(len(ours.pieces(word, ours.vocabulary)) for word in ours.words(text))
        assert pieces + ours.special == len(tokenizer.encode(text).ids), text


@pytest.mark.slow
@pytest.mark.parametrize("size", [120, 200, 400, 2000])
def test_the_interval_holds_what_training_comes_to(size: int) -> None:
    path = catalog._packaged()
    assert path
    base = load_tokenizer(path)
    ours = BaseTokenizer(json.loads((path / "tokenizer.json").read_text()))
    found = count_tokens(Reader(ours, "", 256, 256), DOCUMENTS, SPLIT, [size])
    [trained] = train_tokenizers(base, lambda: iter(TRAINING), [size])
    true = measure_tokens(base, trained, HELD_OUT)
    [estimate] = found.sizes
    assert estimate.low <= true.per_text_after <= estimate.high
    assert estimate.base == pytest.approx(true.per_text_before, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_interval_holds_what_training_comes_to_of_every_family(
    family: str, tmp_path: Path
) -> None:
    base, _ = tokenizer_pair(family)
    base.save_pretrained(tmp_path)
    ours = BaseTokenizer(json.loads((tmp_path / "tokenizer.json").read_text()))
    size = round((0.55 if family == "wordpiece" else 0.9) * len(base))
    found = count_tokens(Reader(ours, "", None, 512), DOCUMENTS, SPLIT, [size])
    [trained] = train_tokenizers(base, lambda: iter(TRAINING), [size])
    true = measure_tokens(base, trained, HELD_OUT)
    [estimate] = found.sizes
    assert estimate.low <= true.per_text_after <= estimate.high


@pytest.mark.slow
def test_the_interval_of_the_beginning_of_real_texts_holds_what_training_on_all_comes_to(
    tmp_path: Path,
) -> None:
    path = catalog._packaged()
    assert path
    base = load_tokenizer(path)
    ours = BaseTokenizer(json.loads((path / "tokenizer.json").read_text()))
    write_docstrings(tmp_path / "corpus.txt")
    texts = (tmp_path / "corpus.txt").read_text().splitlines()
    random.Random(0).shuffle(texts)
    texts = texts[:6000]
    split = Split(0.05, 0, len(texts))
    held_out = [text for text in texts if is_held_out(text, 0.05, 0)]
    training = [text for text in texts if not is_held_out(text, 0.05, 0)]
    [trained] = train_tokenizers(base, lambda: iter(training), [3000])
    true = measure_tokens(base, trained, held_out)
    for read, most in ((len(texts), 0.04), (3000, 0.08), (1000, 0.2)):
        reader = Reader(ours, "", None, 256)
        [estimate] = count_tokens(reader, texts[:read], split, [3000]).sizes
        assert estimate.low <= true.per_text_after <= estimate.high
        assert estimate.value == pytest.approx(true.per_text_after, rel=most)


def test_the_prompt_of_a_model_is_counted_with_every_text() -> None:
    path = catalog._packaged()
    assert path
    ours = BaseTokenizer(json.loads((path / "tokenizer.json").read_text()))
    alone, prompted = (
        count_tokens(Reader(ours, prompt, 256, 256), DOCUMENTS, SPLIT, [400])
        for prompt in ("", "passage: ")
    )
    assert prompted.base == pytest.approx(alone.base + 2)


class Looked(set[str]):
    """Tokens that count how often they are asked for one."""

    times = 0

    def __contains__(self, token: object) -> bool:
        self.times += 1
        return super().__contains__(token)


@pytest.mark.slow
def test_the_work_of_text_without_spaces_does_not_grow_with_its_square(tmp_path: Path) -> None:
    base, _ = tokenizer_pair("unigram")
    base.save_pretrained(tmp_path)
    ours = BaseTokenizer(json.loads((tmp_path / "tokenizer.json").read_text()))
    draw = random.Random(0)
    texts = ["".join(chr(draw.randrange(0x4E00, 0x9FFF)) for _ in range(4000)) for _ in range(200)]
    found = count_tokens(Reader(ours, "", None, 512), texts, Split(0.05, 0, 200), [100, 200])
    assert found.sizes
    known = Looked()
    assert "".join(ours.parts(texts[0], known)) == texts[0]
    assert known.times <= LONGEST_WORD * len(texts[0])


def test_the_work_of_objectives_is_the_engines() -> None:
    for name, objective in OBJECTIVES.items():
        row = OBJECTIVE_WORK[name]
        assert row.flops_per_weight == objective.flops_per_weight
        assert row.needs_teacher == objective.needs_teacher
        assert row.multiplies_table == objective.multiplies_table
        assert row.passes == objective.passes


def test_a_budget_is_the_engines() -> None:
    options = RecoveryOptions(preset="fast", most_minutes=1)
    found = resolve_budget(options, on_gpu=False, documents=100)
    assert found == Budget(800, 16, 128, 60, 2.5e12)


GENERAL_ID = "corpus_06c9zt3v5e8q1w7r2y4u6p0a9s"


@pytest.mark.parametrize(
    ("asked", "share"),
    [
        ({}, 0.0),
        ({"general_share": 0.4}, 0.4),
        ({"general_corpus_id": GENERAL_ID}, DEFAULT_GENERAL_SHARE),
        ({"general_corpus_id": GENERAL_ID, "general_share": 0.1}, 0.1),
    ],
)
def test_general_texts_are_trained_on_where_that_is_asked(
    asked: dict[str, Any], share: float
) -> None:
    recipe = Recipe.model_validate({"recovery": asked})
    assert recipe.recovery.share_of_general_text == share


def test_a_pass_over_the_documents_takes_more_texts_beside_general_ones() -> None:
    recipe = Recipe.model_validate({"recovery": {"epochs": 3, "batch_size": 10}})
    work = Work(recipe, ["distill"], (100, 50), [(80, 30)], 100, 10_000, 20.0, 60, 0.25)
    assert planned_budget(work, 0, "cpu")[0].steps == 40
    alone = replace(work, general_share=0.0)
    assert planned_budget(alone, 0, "cpu")[0].steps == 30
