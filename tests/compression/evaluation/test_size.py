from pathlib import Path

import pytest
from transformers import BertForMaskedLM
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.support.domain import MakeModel
from worker.compression import LoadedModel, load_model, measure_size, save_model


def test_the_packaged_model(minilm: LoadedModel) -> None:
    size = measure_size(minilm)
    assert (size.vocab_size, size.parameters) == (30_522, 22_713_216)
    assert size.embedding_parameters == 30_522 * 384
    assert size.bytes == (minilm.folder / "model.safetensors").stat().st_size


@pytest.mark.parametrize(("tied", "tables"), [(True, 1), (False, 2)])
def test_untied_output_tables_count_as_embeddings(
    tiny_model: MakeModel,
    uncased: PreTrainedTokenizerBase,
    tmp_path: Path,
    tied: bool,
    tables: int,
) -> None:
    model = tiny_model(BertForMaskedLM, tie_word_embeddings=tied)
    save_model(tmp_path, model, uncased)
    size = measure_size(load_model(tmp_path))
    assert size.embedding_parameters == tables * len(uncased) * 16
    assert size.parameters == sum({id(p): p.numel() for p in model.parameters()}.values())
