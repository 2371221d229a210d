"""Small model folders, whole and broken."""

import json
import struct
from pathlib import Path
from typing import Any

TOKENIZER: dict[str, Any] = {
    "model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}},
    "added_tokens": [{"id": 0, "content": "[UNK]"}, {"id": 3, "content": "[NEW]"}],
}


def make_model(folder: Path, **config: Any) -> Path:
    """A model folder with five parameters."""
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {"model_type": "bert", "vocab_size": 4, **config})
    write_json(folder / "tokenizer.json", TOKENIZER)
    write_weights(folder / "model.safetensors")
    return folder


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def write_weights(path: Path, rows: int = 4) -> None:
    """A header of five floats and of two integers that do not count."""
    header = {
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "F32", "shape": [rows, 1], "data_offsets": [0, 16]},
        "scale": {"dtype": "BF16", "shape": [], "data_offsets": [16, 18]},
        "position_ids": {"dtype": "I64", "shape": [1, 2], "data_offsets": [18, 34]},
    }
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + bytes(34))
