"""Write token vectors as a static encoder's folder, and run it: the mean of a text's tokens.

sentence-transformers and model2vec load the same folder: the names are model2vec's, the modules
those of sentence-transformers, which reads both.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from worker.compression.errors import ExportFailedError, ExportUnsupportedError
from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel
from worker.compression.models.reading import longest_input, truncating_backend
from worker.compression.progress import Progress
from worker.compression.runtimes.runtime import Runtime, Teaching, memory_probe
from worker.compression.static.bags import read_bags
from worker.compression.static.training import train_static

_EMBEDDINGS = "embeddings"
_MODULES = "sentence_transformers.models."


def write_static(loaded: LoadedModel, table: Tensor, file: Path) -> None:
    """Write token vectors (tokens, width) beside the tokenizer of the model they are for.

    The vector of a text is divided by its length at the end where the model's is.
    """
    folder, longest = file.parent, longest_input(loaded)
    modules = [module.name for module in loaded.kind.modules]
    divides = modules[-1:] == ["Normalize"]
    save_file({_EMBEDDINGS: table.contiguous()}, file)
    # Padding is part of what is computed here: there is none.
    truncating_backend(loaded.tokenizer, longest).save(str(folder / "tokenizer.json"), pretty=False)
    config = {
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "hidden_dim": table.shape[1],
        "normalize": divides,
        "max_length": longest,
        "embedding_dtype": "float32",
    }
    listed = [{"idx": 0, "name": "0", "path": ".", "type": f"{_MODULES}StaticEmbedding"}]
    if divides:
        module = {"idx": 1, "name": "1", "path": "1_Normalize", "type": f"{_MODULES}Normalize"}
        listed.append(module)
    for name, content in {"config.json": config, "modules.json": listed}.items():
        (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")


class StaticEncoder(Encoder):
    """Runs a static encoder's folder on the CPU; texts have no prompt.

    Of the loaded model it uses what it is, not the weights.
    """

    def __init__(self, loaded: LoadedModel, file: Path) -> None:
        super().__init__(loaded)
        self._table = load_file(file)[_EMBEDDINGS]
        self._backend = Tokenizer.from_file(str(file.with_name("tokenizer.json")))

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> Tensor:
        return read_bags(self._backend, texts).all_means(self._table)

    def run(self, texts: Sequence[str]) -> Tensor:
        return self.vectors(texts)

    def run_whole(self, texts: Sequence[str]) -> Tensor:
        return self.vectors(texts)


def check_sentence_encoder(loaded: LoadedModel) -> None:
    """Refuse a model whose use is not vectors of texts.

    Raises:
        ExportUnsupportedError: so it is.

    """
    if loaded.kind.role != "sentence_encoder":
        raise ExportUnsupportedError(
            f"Static vectors are made of a sentence encoder, and this {type(loaded.model).__name__}"
            " is none: leave `export.static` out, or choose a model of sentence-transformers."
        )


def _train(loaded: LoadedModel, file: Path, teaching: Teaching, progress: Progress) -> None:
    trained = train_static(
        teaching.base, loaded.tokenizer, teaching.texts, seed=teaching.seed, progress=progress
    )
    write_static(loaded, trained.table, file)


def _check(loaded: LoadedModel, file: Path) -> None:
    """Run the file: every token of the model has a finite vector, not all are nought.

    Raises:
        ExportFailedError: it is not so.

    """
    table = load_file(file)[_EMBEDDINGS]
    is_whole = len(table) == len(loaded.tokenizer)
    every = str(loaded.tokenizer.decode(list(range(len(table)))))
    vectors = StaticEncoder(loaded, file).vectors([every])
    if not (is_whole and bool(table.isfinite().all()) and bool(vectors.any())):
        raise ExportFailedError(
            "The static vectors are not sound: they are not finite numbers, or too few. Leave "
            "`export.static` out, and tell us of the model."
        )


STATIC = Runtime(
    "static",
    encoder=StaticEncoder,
    train=_train,
    check=_check,
    check_model=check_sentence_encoder,
    probe=lambda file, _: memory_probe("static", file),
)
