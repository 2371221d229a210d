"""Multi-word tokens in the content of a ``tokenizer.json``: put in, found, taken out, loaded."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.tokenizers.backend import Json
from worker.compression.tokenizers.multiword_pattern import MARK, keeping

_LINE_BREAKS = {
    "type": "Replace",
    "pattern": {"Regex": "[\\n\\r\\u2028\\u2029]"},
    # Two spaces split words as a line break does, and are no n-gram's one space.
    "content": "  ",
}


def with_tokens(content: Json, tokens: Sequence[str]) -> Json:
    """Put in tokens behind all others; their words stand one space apart."""
    model, normalizer = content["model"], content["normalizer"]
    size = len(model["vocab"])
    ids = {token: size + number for number, token in enumerate(tokens)}
    normalizers = [_LINE_BREAKS, *([normalizer] if normalizer else [])]
    return {
        **content,
        "model": {**model, "vocab": model["vocab"] | ids},
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": json.loads(keeping(tokens).__getstate__()),
    }


def tokens_in(content: Json) -> list[str]:
    """Return the tokens that ``with_tokens`` put in."""
    pattern = (content["pre_tokenizer"] or {}).get("pattern", {})
    if not str(pattern.get("Regex", "")).startswith(MARK):
        return []
    added = {token["content"] for token in content["added_tokens"]}
    return [token for token in content["model"]["vocab"] if " " in token and token not in added]


def without_tokens(content: Json) -> Json:
    """Take out what ``with_tokens`` put in."""
    model, tokens = content["model"], set(tokens_in(content))
    (_, *normalizers) = content["normalizer"]["normalizers"]
    return {
        **content,
        "model": {**model, "vocab": {t: i for t, i in model["vocab"].items() if t not in tokens}},
        "normalizer": normalizers[0] if normalizers else None,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    }


def load_content(tokenizer: PreTrainedTokenizerBase, content: Json) -> PreTrainedTokenizerBase:
    """Return what the saved tokenizer with this ``tokenizer.json`` loads as.

    Classes such as ``BertTokenizer`` build a pre-tokenizer of their own whatever the file says:
    it is loaded as the plain class, which does not.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        _write(folder / "tokenizer.json", content)
        settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        settings["tokenizer_class"] = PreTrainedTokenizerFast.__name__
        settings["model_input_names"] = tokenizer.model_input_names
        _write(folder / "tokenizer_config.json", settings)
        loaded: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(
            folder,
            local_files_only=True,
            padding_side=tokenizer.padding_side,
            truncation_side=tokenizer.truncation_side,
        )
    return loaded


def _write(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
