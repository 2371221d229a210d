"""The model as MLflow loads it: this file goes with each version and imports nothing of ours.

It predicts by what the model is for: a vector a text, a score a pair of texts, a label and its
score a text, or text.
"""

# What a role needs is imported where it is loaded.
# ruff: noqa: PLC0415
from collections.abc import Callable
from typing import Any

import mlflow
import pandas as pd

Predict = Callable[[list[str], list[str]], Any]
NEW_TOKENS = 64


class CompressedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model of one of the roles that a result can have."""

    def load_context(self, context: Any) -> None:
        """Load the model from the version's files."""
        self._predict = LOADERS[context.model_config["role"]](context.artifacts["model"])

    # Without types: MLflow would take them for a schema of the input.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002
        """Predict from a column `text`, and for scores of pairs another, `text_pair`."""
        frame = pd.DataFrame(model_input)
        texts = frame["text"].tolist()
        return self._predict(texts, frame["text_pair"].tolist() if "text_pair" in frame else [])


def _vectors(folder: str) -> Predict:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder)
    return lambda texts, _: model.encode(texts)


def _scores(folder: str) -> Predict:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(folder)
    return lambda texts, others: model.predict(list(zip(texts, others, strict=True)))


def _labels(folder: str) -> Predict:
    from transformers import pipeline

    classify = pipeline("text-classification", model=folder, truncation=True)
    return lambda texts, _: pd.DataFrame(classify(texts))


def _means(folder: str) -> Predict:
    """Average the hidden states of each text, without its padding."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)

    @torch.inference_mode()
    def predict(texts: list[str], _: list[str]) -> Any:
        batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        mask = batch["attention_mask"][..., None]
        hidden = model(**batch).last_hidden_state
        return ((hidden * mask).sum(1) / mask.sum(1)).float().numpy()

    return predict


def _text(folder: str) -> Predict:
    """Go on with the text, restore it, or fill in the words that it hides."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    config = AutoConfig.from_pretrained(folder)
    name = (config.architectures or [""])[0]
    if name.endswith(("ForMaskedLM", "ForPreTraining")):
        return _filled(folder)
    load = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model: Any = load.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def predict(texts: list[str], _: list[str]) -> pd.DataFrame:
        made = []
        for text in texts:
            batch = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
            ids = model.generate(**batch, max_new_tokens=NEW_TOKENS, do_sample=False)[0]
            new = ids if config.is_encoder_decoder else ids[batch["input_ids"].shape[1] :]
            made.append(tokenizer.decode(new, skip_special_tokens=True))
        return pd.DataFrame({"text": made})

    return predict


def _filled(folder: str) -> Predict:
    from transformers import pipeline

    fill = pipeline("fill-mask", model=folder, top_k=1)

    def best(text: str) -> str:
        found: Any = fill(text)
        first = found[0][0] if isinstance(found[0], list) else found[0]
        return str(first["token_str"]).strip()

    return lambda texts, _: pd.DataFrame({"text": [best(text) for text in texts]})


LOADERS: dict[str, Callable[[str], Predict]] = {
    "sentence_encoder": _vectors,
    "cross_encoder": _scores,
    "classifier": _labels,
    "encoder": _means,
    "language_model": _text,
}

mlflow.models.set_model(CompressedModel())
