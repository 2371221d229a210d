"""Check models, loaded as users load them: ``python -m …self_check TEXTS BASE FOLDER…``.

TEXTS is a JSON list of held-out texts, BASE the folder of the base model, whose own behaviour is
the standard. The process prints the seconds that each folder's check took as it ends, a line each.
It ends with 0; with 3 where a model is not sound, or with 4 where the base is not, and says on its
standard error what is wrong. It is a process of its own so that nothing counts but the files.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

from worker.compression.errors import (
    ArtifactCheckFailedError,
    CompressionError,
    NonFiniteWeightsError,
)
from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import (
    LoadedModel,
    check_values,
    load_model,
    load_tokenizer,
)
from worker.compression.models.token_ids import configured_ids
from worker.compression.models.vocabulary_tensors import input_embeddings
from worker.compression.tokenizers.behaviour import check_behaviour, sample_texts

FAILED, BASE_FAILED = 3, 4
CHECKED = "checked in seconds: "
VOCABULARY = "vocabulary.jsonl"
_TEXTS = ("A plain sentence, to begin with.", "And 2 more words")


def check_artifact(
    folder: Path, texts: Sequence[str] = _TEXTS, base_folder: Path | None = None
) -> None:
    """Load a saved model as its user will and run it on the beginnings of some texts.

    With ``base_folder`` its tokenizer is held to what the base's does with the texts.

    Raises:
        ArtifactCheckFailedError: something is not as it should be; the message says what.
        UnsupportedTokenizerError: the base's own tokenizer fails on the texts.
        NonFiniteWeightsError: the base's own outputs are not finite.

    """
    texts = sample_texts(texts) or _TEXTS
    try:
        loaded = load_model(folder)
        inner = loaded.weights_folder
        check_values(AutoModel.from_pretrained(inner, local_files_only=True))
        vocabulary = AutoTokenizer.from_pretrained(inner, local_files_only=True).get_vocab()
    except (CompressionError, OSError, ValueError, RuntimeError) as error:
        raise ArtifactCheckFailedError(f"The artifact does not load: {error}") from error
    _require(vocabulary == loaded.tokenizer.get_vocab(), "its tokenizers differ")
    _check_sizes(loaded)
    _check_vocabulary_file(loaded)
    _check_ids(loaded, texts)
    if base_folder:
        check_behaviour(load_tokenizer(base_folder), loaded.tokenizer, texts)
    _check_outputs(loaded, texts, base_folder)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ArtifactCheckFailedError(f"The artifact is not sound: {otherwise}.")


def _check_sizes(loaded: LoadedModel) -> None:
    rows = input_embeddings(loaded.model)[0].weight.shape[0]
    size = loaded.model.config.get_text_config().vocab_size
    _require(size == rows, f"config.vocab_size is {size}, the embedding matrix has {rows} rows")
    ids = sorted(loaded.tokenizer.get_vocab().values())
    _require(ids == list(range(len(ids))), "the ids of the tokens are not 0 to their number")
    for name, i in configured_ids(loaded.model):
        _require(0 <= i < rows, f"{name} is {i} of {rows}")


def _check_ids(loaded: LoadedModel, texts: Sequence[str]) -> None:
    largest = max(max(loaded.tokenizer(text)["input_ids"], default=0) for text in texts)
    size = len(loaded.tokenizer)
    _require(largest < size, f"a text has the token id {largest} of {size}")


def _check_vocabulary_file(loaded: LoadedModel) -> None:
    """Require the ids for which the embeddings were made."""
    file = loaded.folder / VOCABULARY
    if not file.is_file():
        return
    with file.open(encoding="utf-8") as lines:
        made = {row["token"]: row["id"] for row in map(json.loads, lines)}
    ids = loaded.tokenizer.get_vocab()
    moved = sum(ids.get(token) != i for token, i in made.items())
    _require(not moved, f"{moved} tokens have other ids than {VOCABULARY} says")


def _check_outputs(loaded: LoadedModel, texts: Sequence[str], base_folder: Path | None) -> None:
    encoder = Encoder(loaded)
    if not _is_finite(encoder, texts):
        if base_folder and not _is_finite(Encoder(load_model(base_folder)), texts):
            raise NonFiniteWeightsError(
                "The base model's own outputs are not finite numbers on the corpus: use a sound "
                "checkpoint."
            )
        _require(False, "its outputs are not finite numbers")
    if encoder.generates:
        inputs = encoder.inputs(texts[:1])
        inputs = {name: tensor[:, :16] for name, tensor in inputs.items()}
        produced = encoder.model.generate(**inputs, max_new_tokens=4, do_sample=False)  # type: ignore[operator]
        size, largest = len(loaded.tokenizer), int(produced.max())
        _require(largest < size, f"it generates the token id {largest} of {size}")


def _is_finite(encoder: Encoder, texts: Sequence[str]) -> bool:
    batches = (texts[start : start + 8] for start in range(0, len(texts), 8))
    return all(bool(torch.isfinite(encoder.run(batch)).all()) for batch in batches)


def main() -> int:
    """Check the folders named on the command line; returns the exit status."""
    file, base, *folders = (Path(argument) for argument in sys.argv[1:])
    texts = json.loads(file.read_text(encoding="utf-8"))
    for folder in folders:
        began = time.perf_counter()
        try:
            check_artifact(folder, texts, base)
        except CompressionError as error:
            sys.stderr.write(f"{error}\n")
            return FAILED if isinstance(error, ArtifactCheckFailedError) else BASE_FAILED
        print(f"{CHECKED}{time.perf_counter() - began}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
