"""Tell what a model is: its head, and whether its vectors are what it is used for."""

from dataclasses import dataclass

from worker.compression.models.encoder import Pooling, pooling_of
from worker.compression.models.loading import LoadedModel
from worker.compression.models.vocabulary_tensors import output_embeddings


@dataclass(frozen=True)
class ModelTraits:
    """Describe a model by its language-model head (at most one), its use and its pooling."""

    is_sentence_encoder: bool
    has_masked_lm_head: bool
    has_causal_lm_head: bool
    has_seq2seq_head: bool
    pooling: Pooling


def model_traits(base: LoadedModel) -> ModelTraits:
    """Read a model's traits from its head, its tokenizer and its folder's files.

    A masked-language-model head counts only with a mask token to train it with.
    """
    model = base.model
    generates = bool(model.can_generate())
    is_seq2seq = bool(getattr(model.config, "is_encoder_decoder", False))
    has_mask = base.tokenizer.mask_token_id is not None
    return ModelTraits(
        is_sentence_encoder=(base.folder / "modules.json").is_file(),
        has_masked_lm_head=has_mask and not generates and bool(output_embeddings(model)),
        has_causal_lm_head=generates and not is_seq2seq,
        has_seq2seq_head=generates and is_seq2seq,
        pooling=pooling_of(base.folder, model),
    )
