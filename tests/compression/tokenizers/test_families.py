"""What holds for the tokenizers of every family, in the forms in which real models have them."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.architectures import TOKENIZER_MODELS
from tests.compression.tokenizers.bases import (
    BASES,
    LOSSLESS,
    OCTETS,
    domain_texts,
    unigram_with_bytes,
)
from tests.support.some_slow import some_slow
from worker.compression import (
    CorpusTooSmallError,
    MultiwordUnsupportedError,
    VocabSizeBelowFloorError,
    check_multiword,
    measure_tokens,
    train_tokenizer,
)
from worker.compression.tokenizers.families import TOKENIZER_FAMILIES, family_of
from worker.compression.tokenizers.tokenizer_json import Json, backend_json, vocabulary_of
from worker.compression.tokenizers.words import is_byte_token
from worker.compression.transfer.partition import partition_vocabulary

FAMILIES = pytest.mark.parametrize("name", BASES)
ODD = "👩🏽‍🚀 日本 e\u0301\u0327 \x00\x07 a▁b ▁▁ \ud7ff ﬁ \n\n\t x\r\n" + "w" * 300
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from([*domain_texts()[0].split(), ODD, *ODD.split()]), max_size=8).map(
        " ".join
    ),
)


@cache
def pair(name: str) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    base = BASES[name]()
    return base, train_tokenizer(base, domain_texts, len(base) - 80)


@cache
def prose() -> list[str]:
    paragraphs = [p for topic in sorted(topics) for p in topics[topic].split("\n\n")]
    return [text for text in paragraphs if len(text) > 60 and text.isascii()]


def added_tokens(tokenizer: PreTrainedTokenizerBase) -> list[Json]:
    return sorted(backend_json(tokenizer)["added_tokens"], key=lambda token: token["id"])


def ordinary_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    content = backend_json(tokenizer)
    added = {token["content"] for token in content["added_tokens"]}
    return [token for token in vocabulary_of(content["model"]) if token not in added]


def test_the_service_accepts_the_types_that_the_families_handle() -> None:
    assert set(TOKENIZER_MODELS) == {family.model_type for family in TOKENIZER_FAMILIES.values()}


def test_every_family_of_the_registry_is_tested_here(uncased: PreTrainedTokenizerBase) -> None:
    tested = [uncased, *(make() for make in BASES.values())]
    assert {family_of(base).name for base in tested} == TOKENIZER_FAMILIES.keys()


@FAMILIES
def test_one_family_detects_a_tokenizer_and_is_true_to_its_entry(name: str) -> None:
    base, domain = pair(name)
    backend = base.backend_tokenizer
    (entry,) = [family for family in TOKENIZER_FAMILIES.values() if family.detect(backend)]
    assert TOKENIZER_FAMILIES[entry.name] is entry
    assert entry.build(backend).name == family_of(domain).name == entry.name
    assert backend_json(base)["model"]["type"] == entry.model_type
    byte_tokens = [{t for t in ordinary_tokens(one) if is_byte_token(t)} for one in (base, domain)]
    assert byte_tokens[0] == byte_tokens[1]
    assert entry.byte_fallback or not byte_tokens[0]


@FAMILIES
def test_families_without_multiword_tokens_refuse_them(name: str) -> None:
    assert not TOKENIZER_FAMILIES[family_of(BASES[name]()).name].multiword
    with pytest.raises(MultiwordUnsupportedError):
        check_multiword(BASES[name]())


def test_wordpiece_takes_multiword_tokens(uncased: PreTrainedTokenizerBase) -> None:
    assert TOKENIZER_FAMILIES[family_of(uncased).name].multiword
    check_multiword(uncased)


@pytest.mark.parametrize("make", [BASES["llama2"], unigram_with_bytes])
def test_families_with_byte_fallback_keep_every_byte(make: Any) -> None:
    base = make()
    assert TOKENIZER_FAMILIES[family_of(base).name].byte_fallback
    domain = train_tokenizer(base, domain_texts, len(base) - 80)
    assert set(OCTETS) <= set(ordinary_tokens(domain))
    assert domain.tokenize("☃")[-3:] == [f"<0x{byte:02X}>" for byte in "☃".encode()]


@FAMILIES
@given(text=TEXTS)
@settings(max_examples=30)
def test_any_text_gets_ids_of_the_vocabulary(name: str, text: str) -> None:
    _, domain = pair(name)
    ids = domain(text)["input_ids"]
    assert all(0 <= i < len(domain) for i in ids)


@pytest.mark.parametrize("name", LOSSLESS)
@given(text=TEXTS)
@settings(max_examples=30)
def test_text_decodes_to_what_it_did(name: str, text: str) -> None:
    _, domain = pair(name)
    before, after = (t.decode(t(text, add_special_tokens=False)["input_ids"]) for t in pair(name))
    assert after == before
    assert not {domain.unk_token_id} & set(domain(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("name", ["t5", "xlmr", "albert", "deberta", "clip"])
@given(text=TEXTS)
@settings(max_examples=30)
def test_text_that_is_known_decodes_to_what_it_did(name: str, text: str) -> None:
    base, domain = pair(name)
    before, after = (t(text, add_special_tokens=False)["input_ids"] for t in (base, domain))
    if base.unk_token_id not in before and domain.unk_token_id not in after:
        assert domain.decode(after) == base.decode(before)


@FAMILIES
def test_every_token_can_be_reached(name: str) -> None:
    _, domain = pair(name)
    split = family_of(domain).raw_splitter(domain.backend_tokenizer)
    ids = domain.get_vocab()
    tokens = [token for token in ordinary_tokens(domain) if not is_byte_token(token)]
    unreached = [token for token in tokens if split([token]).ids.tolist() != [ids[token]]]
    assert not unreached


@FAMILIES
def test_no_merge_is_an_orphan(name: str) -> None:
    model = backend_json(pair(name)[1])["model"]
    for left, right in model.get("merges", []):
        assert {left, right, left + right} <= model["vocab"].keys()


@FAMILIES
def test_the_size_is_exact_and_ids_have_no_gaps(name: str) -> None:
    base, domain = pair(name)
    assert sorted(domain.get_vocab().values()) == list(range(len(base) - 80))


@FAMILIES
def test_everything_but_the_vocabulary_is_carried_over(name: str) -> None:
    base, domain = pair(name)
    before, after = backend_json(base), backend_json(domain)
    for part in ("normalizer", "pre_tokenizer", "decoder", "truncation", "padding"):
        assert after[part] == before[part]
    learned = {"vocab", "merges", "unk_id"}
    assert {k: v for k, v in after["model"].items() if k not in learned} == {
        k: v for k, v in before["model"].items() if k not in learned
    }
    assert domain.unk_token == base.unk_token
    assert type(domain) is type(base)
    assert domain.padding_side == base.padding_side
    assert domain.model_max_length == base.model_max_length


@FAMILIES
def test_added_tokens_keep_their_order_and_flags(name: str) -> None:
    base, domain = pair(name)
    assert [{**t, "id": 0} for t in added_tokens(domain)] == [
        {**t, "id": 0} for t in added_tokens(base)
    ]
    for token in added_tokens(domain):
        if token["content"] in vocabulary_of(backend_json(base)["model"]):
            assert token["content"] in vocabulary_of(backend_json(domain)["model"])


@FAMILIES
def test_the_post_processor_puts_the_same_tokens_around_a_text(name: str) -> None:
    for texts in (("winter",), ("winter", "garden")):
        base, domain = (t.backend_tokenizer.encode(*texts) for t in pair(name))
        kept = [
            [
                token
                for token, special in zip(e.tokens, e.special_tokens_mask, strict=True)
                if special
            ]
            for e in (base, domain)
        ]
        assert kept[0] == kept[1]
        assert domain.type_ids[0] == base.type_ids[0]
        assert domain.type_ids[-1] == base.type_ids[-1]
        assert pair(name)[1].convert_tokens_to_ids(domain.tokens) == domain.ids


@FAMILIES
def test_a_base_partitions_itself_into_copies(name: str) -> None:
    base, _ = pair(name)
    ids = [(p.id, p.source, p.base_ids) for p in partition_vocabulary(base, base)]
    assert ids == [(i, "copied", (i,)) for i in range(len(base))]


@pytest.mark.parametrize("name", some_slow(BASES, fast={"gpt2", "deberta"}))
def test_usage_needs_no_more_tokens_than_frequency(name: str) -> None:
    base, usage = pair(name)
    training, held_out = prose()[:600:2], prose()[1:600:2]
    per_text = {}
    for selection in ("usage", "frequency"):
        domain = train_tokenizer(base, lambda: training, len(usage), selection=selection)
        per_text[selection] = measure_tokens(base, domain, held_out).per_text_after
    assert per_text["usage"] <= per_text["frequency"] * 1.003


@FAMILIES
def test_floor_and_ceiling_are_what_the_messages_say(name: str) -> None:
    base, _ = pair(name)
    texts = ["a winter garden in winter 175"]
    with pytest.raises(VocabSizeBelowFloorError, match=r"at least \d+") as below:
        train_tokenizer(base, lambda: texts, 20)
    with pytest.raises(CorpusTooSmallError, match=r"at most \d+") as above:
        train_tokenizer(base, lambda: texts, len(base))
    floor = int(str(below.value).rsplit(maxsplit=1)[1].rstrip("."))
    largest = int(str(above.value).split("at most ")[1].split(",")[0])
    assert floor < largest
    for size in (floor, largest):
        assert len(train_tokenizer(base, lambda: texts, size)) == size


@FAMILIES
def test_keep_tokens_stay_in_one_piece(name: str) -> None:
    base, _ = pair(name)
    in_base = ordinary_tokens(base)[-1]
    keep = [in_base, "Xenobiotics", "<dr ug>"]
    domain = train_tokenizer(base, domain_texts, len(base) - 80, keep_tokens=keep)
    assert in_base in domain.get_vocab()
    assert len(domain.tokenize("Xenobiotics")) == 1
    assert domain("winter <dr ug>")["input_ids"].count(domain.get_vocab()["<dr ug>"]) == 1
    assert len(domain) == len(base) - 80


@FAMILIES
def test_training_can_be_aborted(name: str) -> None:
    base, _ = pair(name)
    seen: list[float] = []
    train_tokenizer(base, domain_texts, len(base) - 80, progress=lambda f, _: seen.append(f))
    assert seen == sorted(seen)
    assert len(set(seen)) > 2

    def abort(fraction: float, message: str) -> None:
        if fraction >= seen[-1]:
            raise InterruptedError(message)

    with pytest.raises(InterruptedError):
        train_tokenizer(base, domain_texts, len(base) - 80, progress=abort)


TRAIN = """
import sys
from tests.compression.tokenizers.bases import BASES, domain_texts
from worker.compression import load_tokenizer, train_tokenizer
from pathlib import Path
for folder in sorted(Path(sys.argv[1]).iterdir()):
    base = load_tokenizer(folder)
    train_tokenizer(base, domain_texts, len(base) - 80).save_pretrained(
        f"{sys.argv[2]}/{folder.name}"
    )
"""


@pytest.mark.slow
def test_processes_with_other_hash_seeds_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("gpt2", "llama2", "t5"):
        pair(name)[0].save_pretrained(tmp_path / "bases" / name)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN, tmp_path / "bases", tmp_path / seed],
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    for name in ("gpt2", "llama2", "t5"):
        written = [(tmp_path / seed / name / "tokenizer.json").read_bytes() for seed in ("1", "2")]
        assert written[0] == written[1]
        reloaded = json.loads(written[0])["model"]["vocab"]
        assert reloaded == backend_json(pair(name)[1])["model"]["vocab"]


def test_sentinels_are_counted_from_the_end() -> None:
    _, domain = pair("t5")
    ids = domain.convert_tokens_to_ids([f"<extra_id_{n}>" for n in range(100)])
    assert ids == [len(domain) - 1 - n for n in range(100)]


def test_words_that_no_merge_leads_to_are_merged_in_the_domain() -> None:
    base, _ = pair("llama3")
    domain: Any = train_tokenizer(base, domain_texts, 620, keep_tokens=["Ġunmerged"])
    assert domain.tokenize("winter unmerged")[-1] == "Ġunmerged"
    split = domain.backend_tokenizer.model
    assert [piece.value for piece in split.tokenize("Ġunmerged")] == ["Ġunmerged"]
