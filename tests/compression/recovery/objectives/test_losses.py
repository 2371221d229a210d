"""The losses, recomputed in numpy text by text, without batches or padding."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.support.matrix_models import DEEP, KINDS, Kind, deep, kind_cases
from tests.support.matrix_tokenizers import domain_texts, tokenizer_pair
from worker.compression import transfer_vocabulary
from worker.compression.models.layers import drop_layers
from worker.compression.recovery.batching import by_length, micro_batches
from worker.compression.recovery.objectives.causal_lm import causal_lm_loss
from worker.compression.recovery.objectives.denoising import denoising_loss
from worker.compression.recovery.objectives.distill import DistillationExample, DistillationLoss
from worker.compression.recovery.objectives.language_modeling import IGNORED, head_reads_only
from worker.compression.recovery.objectives.masked_lm import masked_lm_loss

TEXTS = [*domain_texts()[:3], "rash", "lithium, 4 ibuprofens"]
Kinds = dict[str, Kind]


def kind_of(model_type: str) -> Kind:
    return next(kind for kind in KINDS if kind.model_type == model_type)


def hidden(model: Any, ids: Any) -> Any:
    with torch.inference_mode():
        body = model.get_encoder() if model.config.is_encoder_decoder else model.base_model
        row = torch.tensor(ids)[None]
        return body(input_ids=row).last_hidden_state[0].double().numpy()


def far(a: Any, b: Any) -> float:
    return float(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def expected(teacher: Any, student: Any, pairs: list[DistillationExample], pooling: str) -> float:
    texts, words = [], []
    for pair in pairs:
        sides = [
            (hidden(teacher, pair.base_ids), pair.base_words),
            (hidden(student, pair.ids), pair.words),
        ]
        vectors = [states[0] if pooling == "cls" else states.mean(0) for states, _ in sides]
        texts.append(far(*vectors))
        words += [
            far(*(states[found == word].mean(0) for states, found in sides))
            for word in range(pair.word_count)
        ]
    return 2 * float(np.mean(texts)) + float(np.mean(words))


@pytest.mark.parametrize("model_type", ["bert", "roberta", "gpt2", "t5", "llama"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_distillation(model_type: str, pooling: Any) -> None:
    kind = kind_of(model_type)
    base, domain = tokenizer_pair(kind.family)
    teacher = kind.make(kind.classes[0], base)
    student = transfer_vocabulary(teacher, base, domain).model
    objective = DistillationLoss(teacher, student, base, domain, 40, pooling)
    pairs = [pair for pair in objective.examples(TEXTS, 0) if pair]
    assert len(pairs) == len(TEXTS)
    loss = in_parts(objective, student, pairs)
    assert loss > 0
    assert loss == pytest.approx(expected(teacher, student, pairs, pooling), abs=1e-5)


def similarities(vector: Any, references: list[Any]) -> Any:
    """The shares of a softmax of cosines, in double precision."""
    cosines = np.array([1 - far(vector, reference) for reference in references])
    shares = np.exp(cosines / 0.05)
    return shares / shares.sum()


@pytest.mark.parametrize("model_type", ["bert", "llama"])
def test_a_text_is_to_be_as_like_the_references_as_the_base_says(model_type: str) -> None:
    kind = kind_of(model_type)
    base, domain = tokenizer_pair(kind.family)
    teacher = kind.make(kind.classes[0], base)
    student = transfer_vocabulary(teacher, base, domain).model
    # As they are made, all texts have nearly the same vector.
    torch.manual_seed(0)
    for parameter in (*teacher.parameters(), *student.parameters()):
        parameter.data += torch.randn_like(parameter)
    references = TEXTS[:5]
    with_them, without = (
        DistillationLoss(teacher, student, base, domain, 40, "mean", None, asked)
        for asked in (references, ())
    )
    pairs = [pair for pair in with_them.examples(TEXTS, 0) if pair]
    of_references = [hidden(teacher, pair.base_ids).mean(0) for pair in pairs[:5]]
    divergences = []
    for pair in pairs:
        wanted, got = (
            similarities(hidden(model, ids).mean(0), of_references)
            for model, ids in ((teacher, pair.base_ids), (student, pair.ids))
        )
        divergences.append(float((wanted * np.log(wanted / got)).sum()))
    assert np.mean(divergences) > 1e-3
    more = in_parts(with_them, student, pairs) - in_parts(without, student, pairs)
    assert more == pytest.approx(np.mean(divergences), rel=1e-3, abs=1e-5)


def after_each_layer(model: Any, ids: Any) -> list[Any]:
    """What the layers hand on, in the order in which they run."""
    body = model.get_encoder() if model.config.is_encoder_decoder else model.base_model
    layers = next(module for module in body.modules() if isinstance(module, torch.nn.ModuleList))
    found: list[Any] = []

    def hook(_: Any, __: Any, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        found.append(states.reshape(len(ids), -1).double().numpy())

    handles = [layer.register_forward_hook(hook) for layer in layers]
    hidden(model, ids)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("kind", kind_cases())
def test_a_student_with_fewer_layers_is_compared_at_each(kind: Kind) -> None:
    base, domain = tokenizer_pair(kind.family)
    teacher = kind.make(kind.classes[0], base, **deep(kind))
    student = drop_layers(transfer_vocabulary(teacher, base, domain).model, 3)
    objective = DistillationLoss(teacher, student, base, domain, 40, "mean")
    pairs = [pair for pair in objective.examples(TEXTS, 0) if pair]
    inner = []
    for pair in pairs:
        wanted, got = after_each_layer(teacher, pair.base_ids), after_each_layer(student, pair.ids)
        assert (len(wanted), len(got)) == (DEEP, 3)
        for a, b in ((wanted[1], got[0]), (wanted[2], got[1])):
            words = range(pair.word_count)
            of_words = [(a[pair.base_words == n], b[pair.words == n]) for n in words]
            inner += [far(x.mean(0), y.mean(0)) for x, y in of_words]
    last = expected(teacher, student, pairs, "mean")
    assert in_parts(objective, student, pairs) == pytest.approx(last + np.mean(inner), abs=1e-4)


def in_parts(objective: Any, student: Any, examples: list[Any]) -> float:
    """The loss of a step of small batches, longest texts first."""
    num_items = objective.num_items(examples)
    parts = list(micro_batches(by_length(examples), 60))
    assert len(parts) > 1
    with torch.no_grad():
        return sum(float(objective.loss(student, part, num_items)) for part in parts)


def test_a_model_agrees_with_itself() -> None:
    kind = kind_of("bert")
    base, _ = tokenizer_pair(kind.family)
    model = kind.make("BertModel", base)
    objective = DistillationLoss(model, model, base, base, 40, "mean")
    pairs = [pair for pair in objective.examples(TEXTS, 0) if pair]
    assert in_parts(objective, model, pairs) == pytest.approx(0, abs=1e-5)
    told = DistillationLoss(model, model, base, base, 40, "mean", None, TEXTS)
    assert in_parts(told, model, pairs) == pytest.approx(0, abs=1e-5)


LOSSES: dict[str, Any] = {
    "mlm": masked_lm_loss,
    "clm": causal_lm_loss,
    "denoise": denoising_loss,
}


@pytest.mark.parametrize(
    ("name", "model_type", "head"),
    [
        ("mlm", "bert", "BertForMaskedLM"),
        ("mlm", "deberta-v2", "DebertaV2ForMaskedLM"),
        ("clm", "gpt2", "GPT2LMHeadModel"),
        ("clm", "llama", "LlamaForCausalLM"),
        ("denoise", "t5", "T5ForConditionalGeneration"),
        ("denoise", "bart", "BartForConditionalGeneration"),
    ],
)
def test_language_modelling(name: str, model_type: str, head: str) -> None:
    kind = kind_of(model_type)
    tokenizer, _ = tokenizer_pair(kind.family)
    model = kind.make(head, tokenizer)
    objective = LOSSES[name](tokenizer, 40, seed=3)
    examples = [example for example in objective.examples(TEXTS, 7) if example]
    losses = []
    for example in examples:
        inputs: dict[str, Any] = {"input_ids": torch.tensor(example.ids)[None]}
        if name == "denoise":
            inputs["labels"] = torch.tensor(example.labels)[None]
        with torch.inference_mode():
            scores = model(**inputs).logits[0].double().numpy()
        for row, label in zip(scores, example.labels, strict=True):
            if label != IGNORED:
                losses.append(np.log(np.exp(row - row.max()).sum()) + row.max() - row[label])
    assert in_parts(objective, model, examples) == pytest.approx(np.mean(losses), abs=1e-4)


def test_a_step_has_the_same_noise_each_time_and_another_step_another() -> None:
    tokenizer, _ = tokenizer_pair("wordpiece")
    objective = masked_lm_loss(tokenizer, 40, seed=3)
    one, again, other = (objective.examples(TEXTS, start) for start in (10, 10, 20))
    ids = [[e.ids.tolist() for e in found if e] for found in (one, again, other)]
    assert ids[0] == ids[1] != ids[2]


HEADS = [
    (kind, head)
    for kind in KINDS
    for head in kind.classes
    if head.endswith(("ForMaskedLM", "LMHeadModel", "ForCausalLM"))
]


@pytest.mark.parametrize(("kind", "head"), HEADS, ids=[head for _, head in HEADS])
def test_a_head_gives_the_places_asked_for_the_same_logits(kind: Kind, head: str) -> None:
    model = kind.make(head, tokenizer_pair(kind.family)[0])
    ids, places = torch.tensor([[4, 5, 6, 7], [7, 6, 5, 4]]), torch.tensor([1, 2, 7])
    with torch.inference_mode():
        whole = model(input_ids=ids).logits.flatten(0, 1)
        with head_reads_only(model, places):
            some = model(input_ids=ids).logits
        again = model(input_ids=ids).logits.flatten(0, 1)
    torch.testing.assert_close(some[0], whole[places])
    assert some.shape[:2] == (1, 3)
    assert torch.equal(again, whole)
