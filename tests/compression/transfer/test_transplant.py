import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    MobileBertConfig,
    MobileBertForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    MPNetConfig,
    MPNetForMaskedLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.support.domain import SHAPE, MakeModel
from worker.compression import (
    LoadedModel,
    Transfer,
    UnsupportedModelError,
    load_model,
    save_model,
    train_tokenizer,
    transfer_vocabulary,
)

SIZE = 140
ENCODERS: list[tuple[type, type, dict[str, Any]]] = [
    (RobertaForMaskedLM, RobertaConfig, SHAPE),
    (AlbertForMaskedLM, AlbertConfig, {**SHAPE, "embedding_size": 8}),
    (ElectraForMaskedLM, ElectraConfig, {**SHAPE, "embedding_size": 8}),
    (DebertaV2ForMaskedLM, DebertaV2Config, SHAPE),
    (DebertaV2ForMaskedLM, DebertaV2Config, {**SHAPE, "legacy": False}),
    (ModernBertForMaskedLM, ModernBertConfig, SHAPE),
    (
        DistilBertForMaskedLM,
        DistilBertConfig,
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 70},
    ),
]


@pytest.fixture
def domain(uncased: PreTrainedTokenizerBase, documents: list[str]) -> PreTrainedTokenizerBase:
    return train_tokenizer(uncased, lambda: documents, SIZE)


def logits(model: PreTrainedModel, ids: Tensor) -> Tensor:
    with torch.inference_mode():
        output: Tensor = model(input_ids=ids)[0]
    return output


def table_of(model: Any) -> Tensor:
    table: Tensor = model.get_input_embeddings().weight
    return table


def copied_ids(transfer: Transfer) -> tuple[Tensor, Tensor]:
    """Return domain ids of copied tokens, and the base ids of the same tokens."""
    copied = [p for p in transfer.partitions if p.source == "copied"]
    return torch.tensor([p.id for p in copied]), torch.tensor([p.base_ids[0] for p in copied])


def independent_rows(
    base: Tensor, uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> Tensor:
    """Make the domain rows by longest match and a loop."""
    known, rows = uncased.get_vocab(), []
    for token, _ in sorted(domain.get_vocab().items(), key=lambda item: item[1]):
        if token in known:
            rows.append(base[known[token]])
            continue
        rest, mark = token.removeprefix("##"), "##" if token.startswith("##") else ""
        pieces = []
        while rest:
            width = max(n for n in range(1, len(rest) + 1) if mark + rest[:n] in known)
            pieces.append(base[known[mark + rest[:width]]])
            rest, mark = rest[width:], "##"
        rows.append(torch.stack(pieces).mean(0))
    return torch.stack(rows)


@pytest.mark.parametrize(
    "model_class", [BertModel, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification]
)
@pytest.mark.parametrize("method", ["fvt", "pvt", "wvt"])
def test_onto_the_same_tokenizer_nothing_changes(
    tiny_model: MakeModel, uncased: PreTrainedTokenizerBase, model_class: type, method: Any
) -> None:
    model = tiny_model(model_class)
    transfer = transfer_vocabulary(model, uncased, uncased, method)
    ids = torch.arange(60).reshape(2, 30)
    assert torch.equal(logits(transfer.model, ids), logits(model, ids))
    assert transfer.counts.copied == len(uncased)


def test_the_real_model_is_identical_on_its_own_tokenizer(minilm: LoadedModel) -> None:
    transfer = transfer_vocabulary(minilm.model, minilm.tokenizer, minilm.tokenizer)
    ids = minilm.tokenizer(["An adverse reaction."], return_tensors="pt")["input_ids"]
    assert torch.equal(logits(transfer.model, ids), logits(minilm.model, ids))


def test_tied_embeddings_are_means_and_stay_tied(
    masked_lm: Any, uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> None:
    base = masked_lm.get_input_embeddings().weight.detach().clone()
    student: Any = transfer_vocabulary(masked_lm, uncased, domain).model
    table, head = student.get_input_embeddings(), student.cls.predictions
    expected = independent_rows(base, uncased, domain)
    torch.testing.assert_close(table.weight.detach(), expected, rtol=0, atol=1e-6)
    assert head.decoder.weight is table.weight
    assert (table.num_embeddings, head.decoder.out_features) == (SIZE, SIZE)


def test_the_output_bias_is_mapped_and_not_cut(
    masked_lm: Any, uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> None:
    base = masked_lm.cls.predictions.bias.detach().clone()
    student: Any = transfer_vocabulary(masked_lm, uncased, domain).model
    head = student.cls.predictions
    expected = independent_rows(base[:, None], uncased, domain)[:, 0]
    torch.testing.assert_close(head.bias.detach(), expected, rtol=0, atol=1e-6)
    assert head.decoder.bias is head.bias
    assert not torch.allclose(expected, base[:SIZE])


def test_an_untied_head_is_mapped_with_its_own_rows(
    tiny_model: MakeModel, uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> None:
    model: Any = tiny_model(BertForMaskedLM, tie_word_embeddings=False)
    rows = model.cls.predictions.decoder.weight.detach()
    student: Any = transfer_vocabulary(model, uncased, domain).model
    mapped = student.cls.predictions.decoder.weight
    assert mapped is not student.get_input_embeddings().weight
    expected = independent_rows(rows, uncased, domain)
    torch.testing.assert_close(mapped.detach(), expected, rtol=0, atol=1e-6)


def test_tying_again_changes_nothing(
    masked_lm: Any, uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> None:
    student = transfer_vocabulary(masked_lm, uncased, domain).model
    before = copy.deepcopy(student.state_dict())
    student.tie_weights()
    assert all(torch.equal(tensor, before[name]) for name, tensor in student.state_dict().items())


def test_the_base_model_stays_as_it_is(
    masked_lm: Any, uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> None:
    ids = torch.arange(20)[None]
    before = logits(masked_lm, ids)
    transfer_vocabulary(masked_lm, uncased, domain)
    assert torch.equal(logits(masked_lm, ids), before)
    assert masked_lm.config.vocab_size == len(uncased)


def test_the_pad_row_and_its_index_are_carried(
    masked_lm: Any, uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> None:
    table = transfer_vocabulary(masked_lm, uncased, domain).model.get_input_embeddings()
    old = masked_lm.get_input_embeddings()
    assert isinstance(table, nn.Embedding)
    assert table.padding_idx == domain.pad_token_id
    assert torch.equal(table.weight[domain.pad_token_id], old.weight[uncased.pad_token_id])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_dtype_is_kept(
    masked_lm: Any,
    uncased: PreTrainedTokenizerBase,
    domain: PreTrainedTokenizerBase,
    dtype: torch.dtype,
) -> None:
    student = transfer_vocabulary(masked_lm.to(dtype), uncased, domain).model
    assert {parameter.dtype for parameter in student.parameters()} == {dtype}


def test_a_table_longer_than_the_tokenizer_shrinks_to_the_domain(
    tiny_model: MakeModel, uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> None:
    model = tiny_model(BertForMaskedLM, vocab_size=len(uncased) + 15)
    student = transfer_vocabulary(model, uncased, domain).model
    assert logits(student, torch.tensor([[2, 5, 3]])).shape == (1, 3, SIZE)


@pytest.mark.parametrize(
    ("model_class", "config_class", "shape"),
    ENCODERS,
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_encoders_of_other_shapes(
    model_class: type,
    config_class: type,
    shape: dict[str, Any],
    uncased: PreTrainedTokenizerBase,
    documents: list[str],
    tmp_path: Any,
) -> None:
    torch.manual_seed(0)
    roles = {"pad_token_id": 0, "bos_token_id": 4, "eos_token_id": 5}
    config = config_class(**shape, **roles, vocab_size=len(uncased), cls_token_id=4, sep_token_id=5)
    model = model_class(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    domain = train_tokenizer(uncased, lambda: documents, SIZE)
    transfer = transfer_vocabulary(model, uncased, domain)
    new, old = copied_ids(transfer)
    before, after = logits(model, old[None, :60]), logits(transfer.model, new[None, :60])
    assert after.shape[-1] == SIZE
    torch.testing.assert_close(after[..., new], before[..., old], rtol=0, atol=1e-5)
    save_model(tmp_path, transfer.model, domain)
    again = logits(load_model(tmp_path).model, new[None, :60])
    torch.testing.assert_close(again, after, rtol=0, atol=1e-6)


def test_a_vocabulary_in_an_unknown_place_is_refused(uncased: PreTrainedTokenizerBase) -> None:
    shape = {**SHAPE, "embedding_size": 8, "intra_bottleneck_size": 16, "true_hidden_size": 16}
    model = MobileBertForMaskedLM(MobileBertConfig(**shape, vocab_size=len(uncased)))
    with pytest.raises(UnsupportedModelError, match=r"cls\.predictions\.dense"):
        transfer_vocabulary(model, uncased, uncased)


def test_sizes_that_happen_to_be_the_vocabulary_size_do_not_mislead(
    uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase, tiny_model: MakeModel
) -> None:
    size = len(uncased)
    model = tiny_model(BertForMaskedLM, intermediate_size=size, max_position_embeddings=size)
    student: Any = transfer_vocabulary(model, uncased, domain).model
    assert logits(student, torch.tensor([[2, 5, 3]])).shape == (1, 3, SIZE)
    assert student.base_model.embeddings.position_embeddings.num_embeddings == size


def test_a_token_that_positions_count_from_may_not_move(
    uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> None:
    model = MPNetForMaskedLM(MPNetConfig(**SHAPE, vocab_size=len(uncased)))
    with pytest.raises(UnsupportedModelError, match=r"positions from \[unused0\], id 1"):
        transfer_vocabulary(model, uncased, domain)


def test_positions_count_from_the_same_token_where_pad_is_the_second(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    base = BertTokenizer(vocab={**uncased.get_vocab(), "[CLS]": 0, "[PAD]": 1, "[unused0]": 4})
    model: Any = MPNetForMaskedLM(MPNetConfig(**SHAPE, vocab_size=len(base), eos_token_id=5))
    domain = train_tokenizer(base, lambda: documents, SIZE)
    transfer = transfer_vocabulary(model.eval(), base, domain)
    texts, new, old = ["a is", "the patient was in an"], *copied_ids(transfer)
    to_base = dict(zip(new.tolist(), old.tolist(), strict=True))
    ids = domain(texts, padding=True, return_tensors="pt")["input_ids"]
    base_ids = ids.clone().apply_(to_base.__getitem__)
    after, before = logits(transfer.model, ids), logits(model, base_ids)
    torch.testing.assert_close(after[..., new], before[..., old], rtol=0, atol=1e-5)


def test_random_transfer_is_reproducible_and_keeps_shared_tokens(
    masked_lm: Any, uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> None:
    first, again, other = (
        transfer_vocabulary(masked_lm, uncased, domain, "pvt", seed) for seed in (1, 1, 2)
    )
    tables = [table_of(transfer.model) for transfer in (first, again, other)]
    new, old = copied_ids(first)
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])
    assert torch.equal(tables[0][new], masked_lm.get_input_embeddings().weight[old])
    assert first.counts.random == SIZE - first.counts.copied


def test_sources_are_counted(
    masked_lm: Any, uncased: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase
) -> None:
    counts = transfer_vocabulary(masked_lm, uncased, domain).counts
    shared = set(domain.get_vocab()) & set(uncased.get_vocab())
    assert (counts.copied, counts.averaged) == (len(shared), SIZE - len(shared))
    assert (counts.fallback, counts.random, counts.unk_pieces) == (0, 0, 0)
