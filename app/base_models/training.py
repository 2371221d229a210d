"""How a base model can be trained, as far as its configs alone tell."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.base_models.weights import read_json

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers")
DECODER_LAYERS = ("decoder_layers", "num_decoder_layers")
HEADS: dict[str, tuple[str, ...]] = {
    "mlm": ("ForMaskedLM", "ForPreTraining", "WithLMHead"),
    "clm": ("ForCausalLM", "LMHeadModel"),
    "denoise": ("ForConditionalGeneration", "WithLMHeadModel"),
}
"""Endings of the names of the classes that can be trained so."""
NEEDS = {
    "mlm": "a model with a mask token and a masked-language-model head",
    "clm": "a decoder with its language-model head",
    "denoise": "an encoder-decoder with its head",
}


@dataclass(frozen=True)
class TrainingFacts:
    """The class that wrote a model and its layers; None where the configs do not say."""

    architecture: str | None
    layers: int | None
    has_mask: bool | None

    def fault(self, objective: str) -> str | None:
        """What an objective (of one name) needs and the model is not; None where it may be."""
        if objective not in HEADS:
            return None
        lacks_head = self.architecture and not self.architecture.endswith(HEADS[objective])
        lacks_mask = objective == "mlm" and self.has_mask is False
        return NEEDS[objective] if lacks_head or lacks_mask else None


def training_facts(folder: Path) -> TrainingFacts:
    """Read what the configs of a checked model folder say."""
    config = read_json(folder / "config.json")
    architectures = config.get("architectures")
    architecture = architectures[0] if isinstance(architectures, list) and architectures else None
    counts = [config.get(name) for name in (*LAYERS, *DECODER_LAYERS)]
    found = [count for count in counts if isinstance(count, int)]
    return TrainingFacts(
        architecture if isinstance(architecture, str) else None,
        max(found, default=None),
        _has_mask(folder),
    )


def _has_mask(folder: Path) -> bool | None:
    """Whether a tokenizer has a mask token, told by its config where that names any."""
    file = folder / "tokenizer_config.json"
    config: dict[str, Any] = read_json(file) if file.is_file() else {}
    if "mask_token" in config:
        return config["mask_token"] is not None
    # Some classes have one by default.
    return None
