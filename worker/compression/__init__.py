"""Fast Vocabulary Transfer, as pure functions over models, tokenizers and text.

The engine reads as the paper reads (Gee et al., EMNLP 2022 Industry, arXiv 2402.09977): train a
tokenizer on the domain, partition its tokens with the base tokenizer, transfer the embeddings,
evaluate, export. No queue, no database, no HTTP: texts come in as a callable that starts the
stream anew, results go out as dataclasses and folders.

Public API, in the order of a run (import each from ``worker.compression``)::

    Texts    = Callable[[], Iterable[str]]        # called again for every pass over the corpus
    Progress = Callable[[float, str], None]       # fraction 0..1 and a message; raising aborts

    load_model(folder: Path) -> LoadedModel                       # .model .tokenizer .folder
    load_tokenizer(folder: Path) -> PreTrainedTokenizerBase
    is_held_out(text: str, fraction: float, seed: int) -> bool
    training_texts(texts: Texts, fraction: float, seed: int) -> Texts
    held_out_texts(texts: Texts, fraction: float, seed: int, limit: int | None = None) -> list[str]
    resolve_vocab_size(wanted: float | int, base_tokenizer) -> int
    required_tokens(model, base_tokenizer) -> list[str]           # pass them on as keep_tokens
    train_tokenizer(base_tokenizer, texts: Texts, vocab_size: int, *, selection="usage",
                    keep_tokens=(), progress=None) -> PreTrainedTokenizerBase
    train_tokenizers(base_tokenizer, texts: Texts, vocab_sizes, *, multiword=0, ...) -> list
    check_multiword(base_tokenizer) -> None
    resolve_keep_tokens(base_tokenizer, wanted: Sequence[str]) -> list[str]
    transfer_vocabulary(model, base_tokenizer, domain_tokenizer, method="fvt", seed=0,
                        progress=None, pad_to_multiple_of=1) -> Transfer
                                                                  # .model .partitions .counts
    recover(base: LoadedModel, student, domain_tokenizer, texts: Texts,
            options=RecoveryOptions(), seed=0, callbacks=RecoveryCallbacks(), cpu=False)
            -> Recovered                                          # .model .summary
    save_model(folder: Path, model, tokenizer, base_folder: Path | None = None) -> None
    write_vocabulary(folder: Path, partitions: Sequence[Partition]) -> Path
    measure_tokens(base_tokenizer, domain_tokenizer, texts: Iterable[str],
                   progress=None) -> TokenUsage
    measure_size(folder: Path) -> ModelSize
    measure_quality(base: LoadedModel, compressed: LoadedModel, texts: Sequence[str], *,
                    sample=1000, seed=0, progress=None) -> list[Quality]
    measure_latency(base: LoadedModel, compressed: LoadedModel, texts: Sequence[str], *,
                    files=None, batch_sizes=(1, 32), progress=None) -> list[Latency]
                    # files: ONNX files of the compressed model, by runtime
    check_exportable(model) -> None                               # raises where it has no ONNX
    export_onnx(folder: Path, into: Path, *, int8=False, progress=None) -> list[OnnxFile]
    measure_exports(base, compressed, folder: Path, texts, *, seed=0, progress=None)
                    -> list[Export]                               # of the files in folder
    measure_memory(base: Path, compressed: Path, files, texts, progress=None) -> list[Memory]
    tokenized_examples(base_tokenizer, domain_tokenizer, texts) -> list[Example]
    quality_metrics(loaded: LoadedModel) -> list[str]             # what measure_quality will have
    check_head(loaded: LoadedModel, task: str) -> None            # raises where it has no class
    compare(type_: str, metric: str, before: Scores, after: Scores) -> TaskQuality
    pareto_front(points: Sequence[tuple[float, float]]) -> list[int]
    Report(base_model: BaseModel, corpus: CorpusSummary, base: ModelSize, compressed: ModelSize,
           tokens: Tokens, quality: list[Quality], latency: list[Latency], stages: list[StageTime],
           selection: str, transfer_method: str, seed: int, recovery: Recovery = Recovery(),
           multiword: int = 0, gate: Gate | None = None, sweep: list[SweepRow] = [],
           exports: list[Export] = [], memory: list[Memory] = [], examples: list[Example] = [],
           task: TaskQuality | None = None)
    write_report(folder: Path, report: Report) -> None            # report.json, report.html
    write_model_card(folder: Path, report: Report) -> Path              # README.md
    write_manifest(folder: Path, provenance: Provenance) -> Path        # last: hashes every file

``check.check_artifact(folder, texts) -> None``, imported from its own module, loads a saved model
as its user will; the worker runs it in a fresh process.

How a model is scored on labelled data is imported from ``evaluation.tasks``: a ``Protocol``,
``classification_score``, ``tagging_score``, ``retrieval_score``, ``pair_score``, and for each a
function that checks the data.

An encoder gets the quality rows ``sentence_cosine`` and ``neighbour_overlap_10``, one with a
masked-LM head ``masked_lm_bits_per_character`` as well, a decoder with its head
``causal_lm_bits_per_character``, an encoder-decoder ``denoising_bits_per_character`` (the
``retention`` of bits, of which fewer are better, is before / after).
``base_tokenizer`` and ``domain_tokenizer`` are fast transformers tokenizers. ``save_model`` copies
the sentence-transformers files of ``base_folder`` where there are any; a saved folder is loaded
again with ``load_model``. Every error a user can mend is a ``CompressionError`` with a stable
``code``: ``corpus_empty``, ``corpus_too_small``, ``vocab_size_below_floor``,
``vocab_size_above_base``, ``unsupported_tokenizer``, ``multiword_unsupported``,
``unknown_keep_tokens``, ``unsupported_model``,
``non_finite_weights``, ``artifact_check_failed``, ``recovery_unsupported``,
``keep_layers_above_base``, ``recovery_too_short``, ``out_of_memory``,
``export_unsupported``, ``export_failed``, ``task_data_invalid``, ``task_unsupported``.
"""

from worker.compression.corpus import Texts, held_out_texts, is_held_out, training_texts
from worker.compression.errors import (
    ArtifactCheckFailedError,
    CompressionError,
    CorpusEmptyError,
    CorpusTooSmallError,
    ExportFailedError,
    ExportUnsupportedError,
    MultiwordUnsupportedError,
    NonFiniteWeightsError,
    OutOfMemoryError,
    RecoveryTooShortError,
    RecoveryUnsupportedError,
    TaskDataError,
    TaskUnsupportedError,
    TooManyLayersError,
    UnknownKeepTokensError,
    UnsupportedModelError,
    UnsupportedTokenizerError,
    VocabSizeAboveBaseError,
    VocabSizeBelowFloorError,
)
from worker.compression.evaluation.latency import measure_latency
from worker.compression.evaluation.memory import measure_memory
from worker.compression.evaluation.quality import measure_exports, measure_quality, quality_metrics
from worker.compression.evaluation.size import measure_size
from worker.compression.evaluation.tasks.fine_tuning import check_head
from worker.compression.evaluation.tasks.scores import compare, quality_row
from worker.compression.evaluation.tokens import measure_tokens, tokenized_examples
from worker.compression.models.loading import LoadedModel, load_model, load_tokenizer
from worker.compression.models.saving import save_model
from worker.compression.progress import Progress
from worker.compression.recovery.options import RecoveryCallbacks, RecoveryOptions
from worker.compression.recovery.recover import Recovered, recover
from worker.compression.report.files import (
    Provenance,
    write_manifest,
    write_model_card,
    write_report,
    write_vocabulary,
)
from worker.compression.report.pareto import pareto_front
from worker.compression.runtimes.onnx import OnnxFile, check_exportable, export_onnx, onnx_files
from worker.compression.tokenizers.multiword import check_multiword
from worker.compression.tokenizers.training import (
    resolve_keep_tokens,
    resolve_vocab_size,
    train_tokenizer,
    train_tokenizers,
)
from worker.compression.transfer.partition import Partition, Partitions
from worker.compression.transfer.token_ids import required_tokens
from worker.compression.transfer.transfer import Transfer, transfer_vocabulary

__all__ = [
    "ArtifactCheckFailedError",
    "CompressionError",
    "CorpusEmptyError",
    "CorpusTooSmallError",
    "ExportFailedError",
    "ExportUnsupportedError",
    "LoadedModel",
    "MultiwordUnsupportedError",
    "NonFiniteWeightsError",
    "OnnxFile",
    "OutOfMemoryError",
    "Partition",
    "Partitions",
    "Progress",
    "Provenance",
    "Recovered",
    "RecoveryCallbacks",
    "RecoveryOptions",
    "RecoveryTooShortError",
    "RecoveryUnsupportedError",
    "TaskDataError",
    "TaskUnsupportedError",
    "Texts",
    "TooManyLayersError",
    "Transfer",
    "UnknownKeepTokensError",
    "UnsupportedModelError",
    "UnsupportedTokenizerError",
    "VocabSizeAboveBaseError",
    "VocabSizeBelowFloorError",
    "check_exportable",
    "check_head",
    "check_multiword",
    "compare",
    "export_onnx",
    "held_out_texts",
    "is_held_out",
    "load_model",
    "load_tokenizer",
    "measure_exports",
    "measure_latency",
    "measure_memory",
    "measure_quality",
    "measure_size",
    "measure_tokens",
    "onnx_files",
    "pareto_front",
    "quality_metrics",
    "quality_row",
    "recover",
    "required_tokens",
    "resolve_keep_tokens",
    "resolve_vocab_size",
    "save_model",
    "tokenized_examples",
    "train_tokenizer",
    "train_tokenizers",
    "training_texts",
    "transfer_vocabulary",
    "write_manifest",
    "write_model_card",
    "write_report",
    "write_vocabulary",
]
