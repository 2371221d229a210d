"""Check models, loaded as their user will load them: ``python -m …self_check TEXTS FOLDER…``.

TEXTS is a JSON list of held-out texts. The process prints the seconds that each folder's check took
as it ends, a line each. It ends with 0, or with 3 and says on its standard error what is wrong. It
is run as a process of its own so that nothing counts but the files.
"""

import json
import sys
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

from worker.compression.errors import ArtifactCheckFailedError, CompressionError
from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel, check_values, load_model
from worker.compression.models.vocabulary_tensors import input_embeddings
from worker.compression.subprocesses import end_with_parent
from worker.compression.transfer.token_ids import configured_ids

FAILED = 3
CHECKED = "checked in seconds: "
_TEXTS = ("A plain sentence, to begin with.", "And 2 more words")
# Texts that are run, and the characters of each.
_SAMPLE, _CHARACTERS = 32, 300
# The least share of texts: a text without what a tokenizer normalizes away is another text.
_ROUND_TRIPS = 0.9


def check_artifact(folder: Path, texts: Sequence[str] = _TEXTS) -> None:
    """Load a saved model as its user will and run it on the beginnings of some texts.

    Raises:
        ArtifactCheckFailedError: something is not as it should be; the message says what.

    """
    texts = [text[:_CHARACTERS] for text in texts if text.strip()][:_SAMPLE] or _TEXTS
    try:
        loaded = load_model(folder)
        inner = loaded.weights_folder
        check_values(AutoModel.from_pretrained(inner, local_files_only=True))
        vocabulary = AutoTokenizer.from_pretrained(inner, local_files_only=True).get_vocab()
    except (CompressionError, OSError, ValueError, RuntimeError) as error:
        raise ArtifactCheckFailedError(f"The artifact does not load: {error}") from error
    _require(vocabulary == loaded.tokenizer.get_vocab(), "its tokenizers differ")
    _check_sizes(loaded)
    _check_ids(loaded, texts)
    _check_round_trip(loaded, texts)
    _check_outputs(loaded, texts)


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


def _check_round_trip(loaded: LoadedModel, texts: Sequence[str]) -> None:
    tokenizer, same = loaded.tokenizer, list[bool]()
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if tokenizer.unk_token_id not in ids:
            same.append(_letters(str(tokenizer.decode(ids))) == _letters(text))
    lost = same.count(False)
    _require(
        lost <= (1 - _ROUND_TRIPS) * len(same),
        f"{lost} of {len(same)} texts do not come back from their tokens",
    )


def _letters(text: str) -> str:
    """Return a text without what tokenizers may change: case, accents, blanks, controls."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in plain if unicodedata.category(c)[0] not in "CMZ")


def _check_outputs(loaded: LoadedModel, texts: Sequence[str]) -> None:
    encoder = Encoder(loaded)
    for start in range(0, len(texts), 8):
        output = encoder.run(texts[start : start + 8])
        _require(bool(torch.isfinite(output).all()), "its outputs are not finite numbers")
    if encoder.generates:
        inputs = encoder.inputs(texts[:1])
        inputs = {name: tensor[:, :16] for name, tensor in inputs.items()}
        produced = encoder.model.generate(**inputs, max_new_tokens=4, do_sample=False)  # type: ignore[operator]
        size, largest = len(loaded.tokenizer), int(produced.max())
        _require(largest < size, f"it generates the token id {largest} of {size}")


def main() -> int:
    """Check the folders named on the command line; returns the exit status."""
    end_with_parent()
    file, *folders = (Path(argument) for argument in sys.argv[1:])
    texts = json.loads(file.read_text(encoding="utf-8"))
    for folder in folders:
        began = time.perf_counter()
        try:
            check_artifact(folder, texts)
        except ArtifactCheckFailedError as error:
            sys.stderr.write(f"{error}\n")
            return FAILED
        print(f"{CHECKED}{time.perf_counter() - began}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
