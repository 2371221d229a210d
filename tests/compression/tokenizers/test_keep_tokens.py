import pytest
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression import UnknownKeepTokensError, resolve_keep_tokens, train_tokenizer


def test_tokens_are_meant_as_they_are_or_as_text(uncased: PreTrainedTokenizerBase) -> None:
    wanted = ["##icity", "Patient", "[unused2]", "patient", "[UNK]"]
    assert resolve_keep_tokens(uncased, wanted) == ["##icity", "patient", "[unused2]", "[UNK]"]
    assert resolve_keep_tokens(uncased, []) == []


def test_they_are_kept_whatever_the_corpus_says(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    kept = resolve_keep_tokens(uncased, ["##icity", "[unused7]"])
    domain = train_tokenizer(uncased, lambda: documents, 140, keep_tokens=kept)
    assert {"##icity", "[unused7]"} <= set(domain.get_vocab())
    assert "[unused8]" not in domain.get_vocab()


def test_all_others_are_named_with_their_pieces(uncased: PreTrainedTokenizerBase) -> None:
    with pytest.raises(UnknownKeepTokensError) as error:
        resolve_keep_tokens(uncased, ["patient", "patients", "☃", "is in"])
    assert error.value.code == "unknown_keep_tokens"
    for part in ("'patients' (patient ##s)", "'☃' ([UNK])", "'is in' (is in)"):
        assert part in str(error.value)
    assert "'patient'" not in str(error.value)


def test_a_long_list_is_cut(uncased: PreTrainedTokenizerBase) -> None:
    with pytest.raises(UnknownKeepTokensError, match="and 40 more"):
        resolve_keep_tokens(uncased, [f"q{number:02}" for number in range(50)])
