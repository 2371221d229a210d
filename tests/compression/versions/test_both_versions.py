"""Results of bases of every family, loaded by transformers 4 and 5 in separate environments."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from tests.compression.versions.bases import BASES
from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import DOMAIN, GENERAL, ROLES, sentences, tokenizer_pair
from worker.compression import (
    load_model,
    required_tokens,
    save_model,
    train_tokenizer,
    transfer_vocabulary,
)

PROBE = Path(__file__).parent / "probe.py"
TEXTS = sentences(DOMAIN + GENERAL[:2], 1)
MOST_DIFFERENCE = 1e-5

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def compress(base: Path, folder: Path) -> None:
    loaded = load_model(base)
    keep = required_tokens(loaded.model, loaded.tokenizer)
    size = len(loaded.tokenizer) * 9 // 10
    domain = train_tokenizer(loaded.tokenizer, lambda: TEXTS, size, keep_tokens=keep)
    done = transfer_vocabulary(loaded.model, loaded.tokenizer, domain)
    save_model(folder, done.model, domain, base)


def ask(python: str, folder: Path, requests: dict[str, Any]) -> dict[str, Any]:
    (folder / "requests.json").write_text(json.dumps(requests))
    command = [python, str(PROBE), str(folder / "requests.json"), str(folder / "answers.json")]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    answers: dict[str, Any] = json.loads((folder / "answers.json").read_text())
    return answers


def check_alike(python: str, folder: Path, results: list[Path]) -> None:
    asked = {"load": [str(result) for result in results]}
    older, newer = ask(python, folder, asked), ask(sys.executable, folder, asked)
    assert (older.pop("version")[:2], newer.pop("version")[:2]) == ("4.", "5.")
    differences = dict[str, Any]()
    for name, one in older.items():
        other = newer[name]
        if "error" in one or "error" in other:
            differences[name] = one.get("error"), other.get("error")
            continue
        numbers = list(zip(one.pop("output"), other.pop("output"), strict=True))
        furthest = max(abs(a - b) for a, b in numbers)
        # Of logits of 100, float32 holds no more.
        if furthest > MOST_DIFFERENCE * max(1.0, *(abs(a) for a, _ in numbers)):
            differences[name] = furthest
        unlike = {key: (one[key], other[key]) for key in one if one[key] != other[key]}
        if unlike:
            differences[name] = unlike
        if one["missing"] or one["unexpected"]:
            differences[name] = one["missing"], one["unexpected"]
    assert not differences


def test_results_of_bases_saved_by_5(transformers4: str, tmp_path: Path) -> None:
    results = []
    for number, kind in enumerate(KINDS):
        tokenizer, _ = tokenizer_pair(kind.family)
        base = tmp_path / f"{number}-{kind.model_type}" / "base"
        # As transformers saves it, not as this project does.
        kind.make(kind.classes[0], tokenizer).save_pretrained(base)
        tokenizer.save_pretrained(base)
        compress(base, base.parent / "result")
        results.append(base.parent / "result")
    check_alike(transformers4, tmp_path, results)


def spec(name: str, file: Path, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What the probe is to make: a base as transformers 4 saves it."""
    base = BASES[name]
    names = ("bos", "pad", "eos", "cls", "sep")
    ids = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in names}
    if base.model.endswith("ForConditionalGeneration"):
        ids["decoder_start_token_id"] = ids["eos_token_id"]
    return {
        "config": base.config_class,
        "model": base.model,
        "settings": {**base.shape, **ids, "vocab_size": len(tokenizer) + 5},
        "dtype": base.dtype,
        "tokenizer_file": str(file),
        "tokenizer_class": base.tokenizer_class,
        "tokenizer": {**ROLES, "model_max_length": 60, **base.tokenizer},
    }


def test_results_of_bases_saved_by_4(transformers4: str, tmp_path: Path) -> None:
    asked = dict[str, Any]()
    for number, (name, base) in enumerate(BASES.items()):
        tokenizer, _ = tokenizer_pair(base.family)
        file = tmp_path / f"{number}.json"
        tokenizer.backend_tokenizer.save(str(file))
        asked[str(tmp_path / str(number) / "base")] = spec(name, file, tokenizer)
    ask(transformers4, tmp_path, {"make": asked})
    results = [Path(folder).parent / "result" for folder in asked]
    for result in results:
        compress(result.parent / "base", result)
        keys_are_kept(result.parent / "base", result)
    check_alike(transformers4, tmp_path, results)


def keys_are_kept(base: Path, result: Path) -> None:
    for name in ("config.json", "tokenizer_config.json"):
        before, after = (json.loads((folder / name).read_text()) for folder in (base, result))
        # A name that is empty in version 4 means nothing to version 5.
        assert set(before) - {"extra_special_tokens"} <= set(after), name
