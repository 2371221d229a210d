"""A base distilled into static vectors by model2vec: one a token, averaged, no layers.

    pip install model2vec skeletoken

Not `model2vec[distill]`, which asks for transformers before 5.4; it works with newer ones.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor


def is_installed() -> bool:
    """Tell whether model2vec can distil here."""
    return all(find_spec(name) for name in ("model2vec", "skeletoken"))


class StaticVectors:
    """The model that `distill` makes with its defaults: 256 dimensions (PCA), float16."""

    def __init__(self, base: Path, folder: Path) -> None:
        from model2vec import StaticModel  # noqa: PLC0415
        from model2vec.distill import distill  # noqa: PLC0415

        distill(str(base), device="cpu").save_pretrained(folder)
        self.bytes = (folder / "model.safetensors").stat().st_size
        self._model = StaticModel.from_pretrained(folder)

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return vectors (texts, 256) in float32."""
        return torch.from_numpy(self._model.encode(list(texts))).float()

    run_whole = vectors
