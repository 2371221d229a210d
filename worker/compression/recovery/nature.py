"""What a model is, as far as it decides how it can be trained."""

from dataclasses import dataclass

from worker.compression.errors import RecoveryUnsupportedError
from worker.compression.loading import LoadedModel
from worker.compression.pooling import Pooling, pooling_of
from worker.compression.transfer.embedding_modules import output_embeddings

OBJECTIVES = ("mlm", "clm", "denoise", "distill")


@dataclass(frozen=True)
class Nature:
    """Whether a model is a sentence encoder, and what its head predicts."""

    sentence_encoder: bool
    predicts_masked: bool
    predicts_next: bool
    restores_text: bool
    pooling: Pooling


def nature_of(base: LoadedModel) -> Nature:
    """Tell from the model's head and its folder's files what it is."""
    model = base.model
    generates = bool(model.can_generate())
    seq2seq = bool(getattr(model.config, "is_encoder_decoder", False))
    has_mask = base.tokenizer.mask_token_id is not None
    return Nature(
        sentence_encoder=(base.folder / "modules.json").is_file(),
        predicts_masked=has_mask and not generates and bool(output_embeddings(model)),
        predicts_next=generates and not seq2seq,
        restores_text=generates and seq2seq,
        pooling=pooling_of(base.folder, model),
    )


def choose_objective(
    asked: str, nature: Nature, *, fewer_layers: bool = False
) -> tuple[list[str], str]:
    """Return the objectives to train and the reason, for people.

    With ``fewer_layers`` there is more to learn from the base than its vocabulary.

    Raises:
        RecoveryUnsupportedError: the model cannot be trained as asked.

    """
    if asked == "auto":
        return _automatic(nature, fewer_layers)
    names = [] if asked == "none" else asked.split("+")
    for name in names:
        _check(name, nature)
    return names, "asked for"


def _automatic(nature: Nature, fewer_layers: bool) -> tuple[list[str], str]:
    if nature.sentence_encoder:
        return ["distill"], "a sentence encoder: its vectors are what it is used for"
    if nature.predicts_masked:
        reason = "an encoder with a masked-language-model head"
        if fewer_layers:
            return ["mlm", "distill"], f"{reason}, and layers to win back"
        return ["mlm"], reason
    if nature.predicts_next:
        return ["clm"], "a decoder with its language-model head"
    if nature.restores_text:
        return ["denoise"], "an encoder-decoder with its head"
    return ["distill"], "no language-model head: its hidden states are what is used"


def _check(name: str, nature: Nature) -> None:
    faults = {
        "mlm": (nature.predicts_masked, "no mask token or no masked-language-model head"),
        "clm": (nature.predicts_next, "not a decoder with its language-model head"),
        "denoise": (nature.restores_text, "not an encoder-decoder with its head"),
        "distill": (True, ""),
    }
    if name not in faults:
        raise RecoveryUnsupportedError(
            f"recovery.objective {name!r} is unknown: use one of {', '.join(OBJECTIVES)}."
        )
    possible, fault = faults[name]
    if not possible:
        raise RecoveryUnsupportedError(
            f"recovery.objective {name!r} cannot train this model, which has {fault}: use `auto`."
            if fault.startswith("no ")
            else f"recovery.objective {name!r} cannot train this model, which is {fault}: use "
            "`auto`."
        )
