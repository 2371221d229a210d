"""Fast Vocabulary Transfer, as pure functions over models, tokenizers and text.

The engine reads as the paper reads (Gee et al., EMNLP 2022 Industry, arXiv 2402.09977): train a
tokenizer on the domain, partition its tokens with the base tokenizer, transfer the embeddings,
recover, evaluate, export. It has no queue, no database and no HTTP: texts come in as a callable
that starts the stream anew, results go out as models, folders and parts of the report
(`app.contract.report`, the only part of the service that it reads). In the order of a run::

    base = load_model(folder)                            # .model .tokenizer .folder
    keep = required_tokens(base.model, base.tokenizer)
    size = resolve_vocab_size(0.25, base.tokenizer)
    texts = training_texts(corpus, fraction=0.05, seed=0)
    fed = texts_as_fed(base, texts)                      # with the prompt, cut where they are cut
    [tokenizer] = train_tokenizers(base.tokenizer, fed, [size], keep_tokens=keep)
    transfer = transfer_vocabulary(base.model, base.tokenizer, tokenizer)
    done = recover(base, transfer.model, tokenizer, texts, RecoveryOptions(preset="fast"))
    save_model(target, done.model, tokenizer, base.folder)
    export_model(target, target, ["onnx", "onnx-int8"])
    measure_quality(base, load_model(target), held_out_texts(corpus, fraction=0.05, seed=0))

`app.contract.model_kinds` decides what a model is, and so how it is read, recovered and measured.
Objectives, metrics, tasks and runtimes are entries of registries, each with its row in
`app.contract.names`. Every error that a user can mend is a `CompressionError` with a stable
``code``.
"""

from app.contract.split import is_held_out
from worker.compression.corpus import Texts, held_out_texts, training_texts
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
    TooFewWordGroupsError,
    TooManyLayersError,
    UnknownKeepTokensError,
    UnsupportedModelError,
    UnsupportedTokenizerError,
    VocabSizeAboveBaseError,
    VocabSizeBelowFloorError,
)
from worker.compression.evaluation.latency import measure_latency
from worker.compression.evaluation.quality import measure_exports, measure_quality, quality_metrics
from worker.compression.evaluation.size import measure_memory, measure_size
from worker.compression.evaluation.tasks.fine_tuning import check_head, check_output
from worker.compression.evaluation.tasks.scores import compare, quality_rows
from worker.compression.evaluation.tokens import (
    add_cut_texts,
    measure_tokens,
    tokenized_examples,
)
from worker.compression.models.loading import LoadedModel, load_model, load_tokenizer
from worker.compression.models.reading import texts_as_fed
from worker.compression.models.saving import save_model
from worker.compression.models.token_ids import required_tokens
from worker.compression.models.trial import try_model
from worker.compression.progress import Progress
from worker.compression.recovery.options import RecoveryCallbacks, RecoveryOptions
from worker.compression.recovery.recover import Recovered, recover
from worker.compression.report.card import write_model_card
from worker.compression.report.charts import pareto_front
from worker.compression.report.files import (
    Provenance,
    write_manifest,
    write_report,
    write_vocabulary,
)
from worker.compression.runtimes import (
    ExportedFile,
    Teaching,
    check_exportable,
    check_installed,
    export_model,
    exportable,
    exported_files,
    needs_training,
)
from worker.compression.static.training import StaticOptions, StaticTraining, train_static
from worker.compression.tokenizers.coverage import explain_vocabulary
from worker.compression.tokenizers.multiword import check_multiword
from worker.compression.tokenizers.training import (
    corpus_words,
    resolve_keep_tokens,
    resolve_vocab_size,
    train_tokenizer,
    train_tokenizers,
)
from worker.compression.transfer.partition import Partition, Partitions
from worker.compression.transfer.transfer import Transfer, transfer_vocabulary

__all__ = [
    "ArtifactCheckFailedError",
    "CompressionError",
    "CorpusEmptyError",
    "CorpusTooSmallError",
    "ExportFailedError",
    "ExportUnsupportedError",
    "ExportedFile",
    "LoadedModel",
    "MultiwordUnsupportedError",
    "NonFiniteWeightsError",
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
    "StaticOptions",
    "StaticTraining",
    "TaskDataError",
    "TaskUnsupportedError",
    "Teaching",
    "Texts",
    "TooFewWordGroupsError",
    "TooManyLayersError",
    "Transfer",
    "UnknownKeepTokensError",
    "UnsupportedModelError",
    "UnsupportedTokenizerError",
    "VocabSizeAboveBaseError",
    "VocabSizeBelowFloorError",
    "add_cut_texts",
    "check_exportable",
    "check_head",
    "check_installed",
    "check_multiword",
    "check_output",
    "compare",
    "corpus_words",
    "explain_vocabulary",
    "export_model",
    "exportable",
    "exported_files",
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
    "needs_training",
    "pareto_front",
    "quality_metrics",
    "quality_rows",
    "recover",
    "required_tokens",
    "resolve_keep_tokens",
    "resolve_vocab_size",
    "save_model",
    "texts_as_fed",
    "tokenized_examples",
    "train_static",
    "train_tokenizer",
    "train_tokenizers",
    "training_texts",
    "transfer_vocabulary",
    "try_model",
    "write_manifest",
    "write_model_card",
    "write_report",
    "write_vocabulary",
]
