from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.support.domain import domain_documents
from worker.compression import tokenized_examples, train_tokenizer


def test_an_example_is_the_text_cut_into_tokens(uncased: PreTrainedTokenizerBase) -> None:
    documents = domain_documents(120)
    domain = train_tokenizer(uncased, lambda: documents, 140)
    found = tokenized_examples(uncased, domain, documents)
    assert [example.saved for example in found] == ["most", "typical", "least"]
    savings = [1 - len(example.after) / len(example.before) for example in found]
    assert savings == sorted(savings, reverse=True)
    plain = {text.replace(" ", "") for text in documents}
    for example in found:
        assert "".join(example.before) in plain
        assert "".join(example.after) == "".join(example.before)


def test_long_texts_are_cut_and_empty_ones_left_out(uncased: PreTrainedTokenizerBase) -> None:
    (example, *_) = tokenized_examples(uncased, uncased, ["", "the patient " * 100])
    assert len(" ".join(example.before)) <= 220
    assert tokenized_examples(uncased, uncased, ["", " "]) == []
    assert tokenized_examples(uncased, uncased, []) == []
