"""Tell what a model is: its use, its output, its head, and how its vectors are pooled."""

from dataclasses import dataclass

from worker.compression.models.loading import LoadedModel
from worker.compression.models.pooling import Pooling, pooling_of
from worker.compression.models.vocabulary_tensors import output_embeddings


@dataclass(frozen=True)
class ModelTraits:
    """Describe a model by its use, its language-model head (at most one) and its pooling.

    ``is_cross_encoder``: its scores of pairs of texts are what it is used for.
    ``has_classification_head``: it has a head for labels or scores of sequences.
    """

    is_sentence_encoder: bool
    has_masked_lm_head: bool
    has_causal_lm_head: bool
    has_seq2seq_head: bool
    pooling: Pooling
    is_cross_encoder: bool = False
    has_classification_head: bool = False

    @property
    def generates(self) -> bool:
        """Tell whether the text it generates is what it is used for."""
        return (self.has_causal_lm_head or self.has_seq2seq_head) and not self.is_sentence_encoder

    @property
    def has_vectors(self) -> bool:
        """Tell whether vectors of texts are its output, or the best there is to compare."""
        return not self.generates and not self.is_cross_encoder


def model_traits(base: LoadedModel) -> ModelTraits:
    """Read a model's traits from its head, its tokenizer and its folder's files.

    A masked-language-model head counts only with a mask token to train it with.

    Raises:
        UnsupportedModelError: models of this kind cannot be compressed.

    """
    model, kind = base.model, base.kind
    generates = bool(model.can_generate())
    is_seq2seq = bool(getattr(model.config, "is_encoder_decoder", False))
    has_mask = base.tokenizer.mask_token_id is not None
    return ModelTraits(
        is_sentence_encoder=kind.role == "sentence_encoder",
        has_masked_lm_head=has_mask and not generates and bool(output_embeddings(model)),
        has_causal_lm_head=generates and not is_seq2seq,
        has_seq2seq_head=generates and is_seq2seq,
        pooling=pooling_of(base.folder, model, kind),
        is_cross_encoder=kind.role == "cross_encoder",
        has_classification_head=type(model).__name__.endswith("ForSequenceClassification"),
    )
