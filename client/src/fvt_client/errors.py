"""Every exception of the client: a class for each error code of the service.

Made by `make errors` from `app/contract/errors.py`.
"""

from ._errors import (
    AmbiguousIdError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DownloadError,
    FvtError,
    IncompatibleServiceError,
    JobFailure,
    NotFoundError,
    ProblemError,
    PushError,
    RateLimitError,
    ServerError,
    TooLargeError,
    UnprocessableError,
    UnreachableError,
    UploadError,
)

__all__ = [
    "BY_CODE",
    "AmbiguousIdError",
    "ArtifactCheckFailed",
    "ArtifactExpired",
    "ArtifactNotFound",
    "AuthenticationError",
    "BadRequestError",
    "BaseModelChanged",
    "BaseModelNotFound",
    "BinaryCorpus",
    "BrokenGzip",
    "BrokenZstd",
    "CompressionFailed",
    "ConflictError",
    "CorpusEmpty",
    "CorpusInUse",
    "CorpusNeedsMemory",
    "CorpusNotFound",
    "CorpusTooLarge",
    "CorpusTooSmall",
    "CorpusWithoutRecords",
    "CorpusWithoutText",
    "CrossOrigin",
    "DatabaseUnavailable",
    "DecompressionBomb",
    "DiskFull",
    "DownloadError",
    "DuplicateTextField",
    "EmptyCorpus",
    "ExportFailed",
    "ExportUnsupported",
    "FieldsTooLarge",
    "FvtError",
    "GateMetricNotMeasured",
    "GateNotMet",
    "HostNotAllowed",
    "HubUnreachable",
    "IdempotencyKeyReused",
    "IncompatibleServiceError",
    "InsufficientStorage",
    "InternalError",
    "InvalidCsv",
    "InvalidHost",
    "InvalidJsonl",
    "InvalidKey",
    "InvalidModel",
    "InvalidModelId",
    "InvalidParquet",
    "InvalidRecipe",
    "InvalidRequest",
    "JobActive",
    "JobAlreadyEnded",
    "JobCancelled",
    "JobFailed",
    "JobFailure",
    "JobNotFinished",
    "JobNotFound",
    "KeepLayersAboveBase",
    "LibraryCrashed",
    "LineTooLong",
    "MalformedJson",
    "MalformedMultipart",
    "MalformedRequest",
    "MethodNotAllowed",
    "MissingFile",
    "MissingKey",
    "MissingTextField",
    "ModelTooLarge",
    "MoreThanOneFile",
    "MultiwordUnsupported",
    "NoFastTokenizer",
    "NonFiniteWeights",
    "NotAcceptable",
    "NotFoundError",
    "NotReady",
    "NotUtf8",
    "OutOfMemory",
    "ProblemError",
    "PushError",
    "QueriesInTask",
    "RangeNotSatisfiable",
    "RateLimitError",
    "RecoveryTooLong",
    "RecoveryTooShort",
    "RecoveryUnsupported",
    "RemoteCodeRefused",
    "RequestHeadTooLarge",
    "RequestTimeout",
    "RequestTooLarge",
    "RevisionNotFound",
    "RouteNotFound",
    "SampleTooLarge",
    "SampleUnreadable",
    "ServerError",
    "StorageUnavailable",
    "TargetNotMet",
    "TargetOutOfReach",
    "TaskDataInvalid",
    "TaskUnsupported",
    "TextFieldNotString",
    "TextFieldWithoutFields",
    "TimeLimit",
    "TokenizerPanicked",
    "TooLargeError",
    "TooManyConnections",
    "TooManyRecords",
    "TooManyRowsWithoutText",
    "UnclearDelimiter",
    "UnknownCursor",
    "UnknownField",
    "UnknownKeepTokens",
    "UnprocessableError",
    "UnreachableError",
    "UnsafeWeights",
    "UnsupportedMediaType",
    "UnsupportedModel",
    "UnsupportedTokenizer",
    "UnusableTextField",
    "UploadAborted",
    "UploadError",
    "UploadTooLarge",
    "VocabSizeAboveBase",
    "VocabSizeBelowFloor",
    "WorkerLost",
    "WorkerStopped",
    "ZstdWindowTooLong",
]


class ArtifactCheckFailed(ProblemError):
    """The new tokenizer or the finished model does not do what its base does.

    Tell us of the model; the message says what differs.
    """


class ArtifactExpired(ProblemError):
    """The result was kept as long as it is here (`FVT_KEEP_ARTIFACTS_DAYS`).

    Submit the job again.
    """


class ArtifactNotFound(NotFoundError):
    """The result has no such file, or it is no longer in storage.

    See `GET /v1/jobs/{id}/artifacts`.
    """


class BaseModelChanged(ProblemError):
    """The model's files changed while the job ran.

    Submit the job again.
    """


class BaseModelNotFound(UnprocessableError):
    """There is no such model here, nor on the hub where it is allowed.

    Choose one of `GET /v1/base-models`.
    """


class BinaryCorpus(UnprocessableError):
    """The file is binary, not text.

    Send text, JSON lines, CSV, TSV or Parquet.
    """


class BrokenGzip(UnprocessableError):
    """The gzip file is cut off or damaged.

    Compress and send it again.
    """


class BrokenZstd(UnprocessableError):
    """The zstd file is cut off or damaged.

    Compress and send it again.
    """


class CompressionFailed(ProblemError):
    """The compression cannot go on as asked.

    Do what the message says.
    """


class CorpusEmpty(ProblemError):
    """No words, or no held-out texts, are in the corpus.

    Upload more documents.
    """


class CorpusInUse(ConflictError):
    """A job that has not ended reads the corpus.

    Wait for its end, or cancel it.
    """


class CorpusNeedsMemory(UnprocessableError):
    """A row or a page of the corpus needs more memory to be read than is given to one upload.

    Cut long rows, write Parquet in smaller row groups, or send plain text.
    """


class CorpusNotFound(NotFoundError):
    """There is no corpus of this id.

    See `GET /v1/corpora`, or upload one.
    """


class CorpusTooLarge(UnprocessableError):
    """The corpus is too large once decompressed (`FVT_MAX_CORPUS_BYTES`).

    Send a sample of it.
    """


class CorpusTooSmall(ProblemError):
    """The corpus has too little text for what is asked.

    Upload more, or ask for fewer tokens.
    """


class CorpusWithoutRecords(UnprocessableError):
    """A task reads rows, and the corpus has none.

    Upload JSON objects, a line each, as `format=records`.
    """


class CorpusWithoutText(UnprocessableError):
    """The corpus is labelled data, not text.

    Upload the text to compress for.
    """


class CrossOrigin(ProblemError):
    """A web page of another origin called a service that asks for no key.

    Call it from a page of its own or from a program; a proxy must pass `Host` on.
    """


class DatabaseUnavailable(ServerError):
    """The database is locked, gone or silent for longer than a call waits (`FVT_DATABASE_SECONDS`).

    Send the call again as `Retry-After` says; an `Idempotency-Key` makes that safe.
    """


class DecompressionBomb(UnprocessableError):
    """The corpus grows more than text does (`FVT_MAX_COMPRESSION_RATIO`).

    Send it less compressed.
    """


class DiskFull(ProblemError):
    """A disk of the worker or of the files was full amid the job.

    Delete what is not needed, or have the disk made larger; then submit it again.
    """


class DuplicateTextField(UnprocessableError):
    """Several columns have the name of the text field.

    Give each column a name of its own.
    """


class EmptyCorpus(UnprocessableError):
    """The corpus holds no text.

    Send at least one document.
    """


class ExportFailed(ProblemError):
    """The exported file does not compute what the model does.

    Leave out what the message names, and tell us of the model.
    """


class ExportUnsupported(UnprocessableError):
    """A model of this kind or size is not exported, or the worker lacks the runtime.

    Leave out `export` or the runtime of `target`; or have what the message names installed.
    """


class FieldsTooLarge(TooLargeError):
    """The fields beside the file are too large.

    Send less in them.
    """


class GateMetricNotMeasured(UnprocessableError):
    """The gate asks for a metric that the job does not measure.

    Name one that it does, or add its task.
    """


class GateNotMet(ProblemError):
    """The result falls short of the gate; report and result are kept.

    Ask for another size, or for less in `gate`.
    """


class HostNotAllowed(ProblemError):
    """The service does not answer to the name in `Host`.

    Use a name that it answers to, or have it allowed with `FVT_ALLOWED_HOSTS`.
    """


class HubUnreachable(ServerError):
    """The Hugging Face hub does not answer.

    Submit the job again later, or have the model put into `FVT_MODELS_DIR`.
    """


class IdempotencyKeyReused(UnprocessableError):
    """The `Idempotency-Key` came before with another request.

    Take a new key for a new job.
    """


class InsufficientStorage(ServerError):
    """A disk of the service has no room for this; `needed_bytes` and `free_bytes` say how much.

    Delete corpora and jobs that are not needed, or have the disk made larger.
    """


class InternalError(ServerError):
    """Something broke on our side; the log has it.

    Try again, and tell us the request id.
    """


class InvalidCsv(UnprocessableError):
    """The CSV or TSV table is malformed.

    Quote fields that hold a delimiter, a quote or a line break.
    """


class InvalidHost(BadRequestError):
    """`Host` is missing, given twice, or no name with or without a port.

    Send one `Host`, as HTTP libraries do.
    """


class InvalidJsonl(UnprocessableError):
    """A line is not a JSON object.

    Put one object on each line.
    """


class InvalidKey(AuthenticationError):
    """The key is not accepted.

    Check it with whoever runs the service.
    """


class InvalidModel(UnprocessableError):
    """The model's files are not whole, or do not belong together.

    Save it again with `save_pretrained`.
    """


class InvalidModelId(UnprocessableError):
    """The id is not that of a model.

    Give `name` or `org/name`, as `GET /v1/base-models` lists them.
    """


class InvalidParquet(UnprocessableError):
    """The file is no whole Parquet file.

    Write it again, and send it as it was written.
    """


class InvalidRecipe(UnprocessableError):
    """The recipe holds what cannot be, or what is not known.

    Mend each place that `errors` points to.
    """


class InvalidRequest(UnprocessableError):
    """A field or parameter is not what it must be.

    Mend each place that `errors` points to.
    """


class JobActive(ConflictError):
    """The job has not ended.

    Cancel it, then delete it.
    """


class JobAlreadyEnded(ConflictError):
    """The job has ended.

    There is nothing to cancel.
    """


class JobCancelled(ConflictError):
    """The job was cancelled and left no result.

    Submit it again.
    """


class JobFailed(ConflictError):
    """The job failed and left no result.

    Read its `error`.
    """


class JobNotFinished(ConflictError):
    """The job has no result yet.

    Wait until it has succeeded.
    """


class JobNotFound(NotFoundError):
    """There is no job of this id.

    See `GET /v1/jobs`.
    """


class KeepLayersAboveBase(UnprocessableError):
    """More layers are to be kept than the model has.

    Ask for as many at most.
    """


class LibraryCrashed(ProblemError):
    """A library crashed on the model or on a text, and took its process along.

    Choose another base model, or leave out what is unusual in the corpus.
    """


class LineTooLong(UnprocessableError):
    """A line is too long.

    Break it into shorter documents.
    """


class MalformedJson(BadRequestError):
    """The body is no JSON object.

    Send one.
    """


class MalformedMultipart(BadRequestError):
    """The form is malformed.

    Use an HTTP library to write it.
    """


class MalformedRequest(BadRequestError):
    """The request is not HTTP/1.1 as it is written, or its body cannot be read.

    Use an HTTP library to write it.
    """


class MethodNotAllowed(ProblemError):
    """The path does not take this method.

    See `/docs`.
    """


class MissingFile(UnprocessableError):
    """The form has no file.

    Send one in the field that is named.
    """


class MissingKey(AuthenticationError):
    """The call needs a key.

    Send `Authorization: Bearer KEY`.
    """


class MissingTextField(UnprocessableError):
    """The field that should hold the text is not there.

    Name it as `text_field`.
    """


class ModelTooLarge(UnprocessableError):
    """The weights are larger than a worker can hold (`FVT_MAX_MODEL_BYTES`).

    Choose a smaller model.
    """


class MoreThanOneFile(UnprocessableError):
    """The form has several files.

    Send one a request.
    """


class MultiwordUnsupported(ProblemError):
    """Tokens of several words are not available with this tokenizer.

    Leave out `tokenizer.multiword`.
    """


class NoFastTokenizer(UnprocessableError):
    """The model has no `tokenizer.json`.

    Load its tokenizer with `AutoTokenizer` and save it.
    """


class NonFiniteWeights(ProblemError):
    """A weight is NaN or infinite.

    Use a sound checkpoint.
    """


class NotAcceptable(ProblemError):
    """The answer is not available in the media types of `Accept`.

    Ask for one of those that the problem names.
    """


class NotReady(ServerError):
    """The database, the broker or the file storage does not answer.

    Wait as `Retry-After` says; `failed` names what is down.
    """


class NotUtf8(UnprocessableError):
    """The text is not UTF-8.

    Convert it, for example with `iconv`.
    """


class OutOfMemory(ProblemError):
    """The job, or a batch of it, does not fit in the worker's memory (`FVT_JOB_MEMORY_BYTES`).

    Give what the message names: a smaller batch, shorter texts or a smaller model.
    """


class QueriesInTask(ProblemError):
    """Queries to train on are among the texts that the task measures on.

    Leave them out of `recovery.queries_corpus_id`: its figures would say nothing.
    """


class RangeNotSatisfiable(ProblemError):
    """The range is outside of the file.

    Ask for one within its bytes.
    """


class RecoveryTooLong(UnprocessableError):
    """More minutes of recovery are asked than this installation gives.

    Ask for less in `recovery.max_minutes`.
    """


class RecoveryTooShort(ProblemError):
    """The time given is too short for one step.

    Give more in `recovery.max_minutes`, or a smaller batch.
    """


class RecoveryUnsupported(UnprocessableError):
    """The model cannot be trained with this objective.

    Give `auto`.
    """


class RemoteCodeRefused(UnprocessableError):
    """The model asks to run code of its own.

    Choose a model of a standard architecture.
    """


class RequestHeadTooLarge(ProblemError):
    """The request line and the headers are too large together.

    Send fewer or shorter ones; 32 KiB is the limit.
    """


class RequestTimeout(ProblemError):
    """The request stopped, or came too slowly.

    Send it again, within `FVT_REQUEST_SECONDS` and at 1 KiB a second or more.
    """


class RequestTooLarge(TooLargeError):
    """The body is too large.

    Send a smaller one.
    """


class RevisionNotFound(UnprocessableError):
    """The model has no such revision.

    Give a branch, a tag or a commit of it, or leave out `revision`.
    """


class RouteNotFound(NotFoundError):
    """There is nothing at this path.

    See `/docs` for the calls.
    """


class SampleTooLarge(TooLargeError):
    """More of a corpus was sent for an estimate than is read.

    Send its first 8 MiB with `corpus_bytes`, or upload it and give its `corpus_id`.
    """


class SampleUnreadable(UnprocessableError):
    """The beginning of a corpus of this format cannot be read alone.

    Send all of it, or upload it and give its `corpus_id`.
    """


class StorageUnavailable(ServerError):
    """The object store of the files is away, or silent for longer than a call waits.

    Send the call again as `Retry-After` says; an `Idempotency-Key` makes that safe.
    """


class TargetNotMet(ProblemError):
    """None of the models that were made meets the target; report and models are kept.

    Ask for less in `target`: the message names the nearest and what it misses.
    """


class TargetOutOfReach(UnprocessableError):
    """No model that could be made of the base is as small as the target asks.

    Ask for as many bytes as the message says, or for another runtime or base model.
    """


class TaskDataInvalid(ProblemError):
    """The labelled data is not what the task says of it.

    Mend the row or the labels that the message names.
    """


class TaskUnsupported(UnprocessableError):
    """The model cannot have the head that the task needs.

    Choose another base model, or another task.
    """


class TextFieldNotString(UnprocessableError):
    """The field that should hold the text is not of strings.

    Name another as `text_field`.
    """


class TextFieldWithoutFields(UnprocessableError):
    """The format has no field to choose.

    Leave out `text_field`, or give another `format`.
    """


class TimeLimit(ProblemError):
    """The job ran into the time limit (`FVT_JOB_TIME_LIMIT_SECONDS`).

    Use a smaller corpus, or have it raised.
    """


class TokenizerPanicked(ProblemError):
    """The tokenizers library broke down on the model's tokenizer or on a text.

    Choose another base model, or leave out what is unusual in the corpus.
    """


class TooManyConnections(ServerError):
    """The service is at its limit of requests at once.

    Wait as `Retry-After` says; `FVT_MAX_CONNECTIONS` is the limit.
    """


class TooManyRecords(UnprocessableError):
    """A corpus of a task is larger than a worker can hold.

    Upload a sample of the rows.
    """


class TooManyRowsWithoutText(UnprocessableError):
    """More rows than allowed have no text (`FVT_MAX_SKIPPED_SHARE`).

    Give each row a text, leave such rows out, or name another `text_field`.
    """


class UnclearDelimiter(UnprocessableError):
    """The rows of the table do not agree on a delimiter.

    Send it with one delimiter, and quote fields that hold it.
    """


class UnknownCursor(BadRequestError):
    """`after` or the event id is none that was given out.

    Give the last id that you have, or none.
    """


class UnknownField(UnprocessableError):
    """A field of the form is not known or is given twice.

    Send those that the problem lists, once each.
    """


class UnknownKeepTokens(ProblemError):
    """A token to keep is not one token of the base vocabulary.

    Mend or leave out those that are named.
    """


class UnsafeWeights(UnprocessableError):
    """The model has only pickled weights, which can run code.

    Save it as safetensors with `save_pretrained`.
    """


class UnsupportedMediaType(ProblemError):
    """A job came in another content type than JSON or a form.

    Send `application/json`, or `multipart/form-data` with the corpus.
    """


class UnsupportedModel(UnprocessableError):
    """Models of this type, or with such a tokenizer, cannot be compressed.

    Choose one of the types that are listed.
    """


class UnsupportedTokenizer(ProblemError):
    """The tokenizer cannot be loaded, or not be trained anew.

    Choose a model with a fast WordPiece, BPE or Unigram tokenizer.
    """


class UnusableTextField(UnprocessableError):
    """The text field holds something other than text.

    Name another field as `text_field`.
    """


class UploadAborted(BadRequestError):
    """The upload stopped before its end.

    Send it again.
    """


class UploadTooLarge(TooLargeError):
    """The file is larger than this installation takes (`FVT_MAX_UPLOAD_BYTES`).

    Compress it with gzip or zstd, or send a sample.
    """


class VocabSizeAboveBase(UnprocessableError):
    """The vocabulary would not be smaller than the base's.

    Ask for fewer tokens, or for a fraction up to 1.
    """


class VocabSizeBelowFloor(ProblemError):
    """The vocabulary has no room for the tokens that it must hold.

    Ask for at least as many as the message says.
    """


class WorkerLost(ProblemError):
    """The worker stopped in the middle of the job, at every attempt.

    Submit it again; the model or the corpus may be too large for the worker.
    """


class WorkerStopped(ProblemError):
    """The worker was told to stop; the job goes on where it was, on the next one.

    Nothing: it is no end of a job, and counts as no attempt.
    """


class ZstdWindowTooLong(UnprocessableError):
    """The zstd file needs more memory to be read than is given to one upload.

    Compress it again without `--long`, or with `--long=27`.
    """


BY_CODE: dict[str, type[ProblemError]] = {
    "artifact_check_failed": ArtifactCheckFailed,
    "artifact_expired": ArtifactExpired,
    "artifact_not_found": ArtifactNotFound,
    "base_model_changed": BaseModelChanged,
    "base_model_not_found": BaseModelNotFound,
    "binary_corpus": BinaryCorpus,
    "broken_gzip": BrokenGzip,
    "broken_zstd": BrokenZstd,
    "compression_failed": CompressionFailed,
    "corpus_empty": CorpusEmpty,
    "corpus_in_use": CorpusInUse,
    "corpus_needs_memory": CorpusNeedsMemory,
    "corpus_not_found": CorpusNotFound,
    "corpus_too_large": CorpusTooLarge,
    "corpus_too_small": CorpusTooSmall,
    "corpus_without_records": CorpusWithoutRecords,
    "corpus_without_text": CorpusWithoutText,
    "cross_origin": CrossOrigin,
    "database_unavailable": DatabaseUnavailable,
    "decompression_bomb": DecompressionBomb,
    "disk_full": DiskFull,
    "duplicate_text_field": DuplicateTextField,
    "empty_corpus": EmptyCorpus,
    "export_failed": ExportFailed,
    "export_unsupported": ExportUnsupported,
    "fields_too_large": FieldsTooLarge,
    "gate_metric_not_measured": GateMetricNotMeasured,
    "gate_not_met": GateNotMet,
    "host_not_allowed": HostNotAllowed,
    "hub_unreachable": HubUnreachable,
    "idempotency_key_reused": IdempotencyKeyReused,
    "insufficient_storage": InsufficientStorage,
    "internal_error": InternalError,
    "invalid_csv": InvalidCsv,
    "invalid_host": InvalidHost,
    "invalid_jsonl": InvalidJsonl,
    "invalid_key": InvalidKey,
    "invalid_model": InvalidModel,
    "invalid_model_id": InvalidModelId,
    "invalid_parquet": InvalidParquet,
    "invalid_recipe": InvalidRecipe,
    "invalid_request": InvalidRequest,
    "job_active": JobActive,
    "job_already_ended": JobAlreadyEnded,
    "job_cancelled": JobCancelled,
    "job_failed": JobFailed,
    "job_not_finished": JobNotFinished,
    "job_not_found": JobNotFound,
    "keep_layers_above_base": KeepLayersAboveBase,
    "library_crashed": LibraryCrashed,
    "line_too_long": LineTooLong,
    "malformed_json": MalformedJson,
    "malformed_multipart": MalformedMultipart,
    "malformed_request": MalformedRequest,
    "method_not_allowed": MethodNotAllowed,
    "missing_file": MissingFile,
    "missing_key": MissingKey,
    "missing_text_field": MissingTextField,
    "model_too_large": ModelTooLarge,
    "more_than_one_file": MoreThanOneFile,
    "multiword_unsupported": MultiwordUnsupported,
    "no_fast_tokenizer": NoFastTokenizer,
    "non_finite_weights": NonFiniteWeights,
    "not_acceptable": NotAcceptable,
    "not_ready": NotReady,
    "not_utf8": NotUtf8,
    "out_of_memory": OutOfMemory,
    "queries_in_task": QueriesInTask,
    "range_not_satisfiable": RangeNotSatisfiable,
    "recovery_too_long": RecoveryTooLong,
    "recovery_too_short": RecoveryTooShort,
    "recovery_unsupported": RecoveryUnsupported,
    "remote_code_refused": RemoteCodeRefused,
    "request_head_too_large": RequestHeadTooLarge,
    "request_timeout": RequestTimeout,
    "request_too_large": RequestTooLarge,
    "revision_not_found": RevisionNotFound,
    "route_not_found": RouteNotFound,
    "sample_too_large": SampleTooLarge,
    "sample_unreadable": SampleUnreadable,
    "storage_unavailable": StorageUnavailable,
    "target_not_met": TargetNotMet,
    "target_out_of_reach": TargetOutOfReach,
    "task_data_invalid": TaskDataInvalid,
    "task_unsupported": TaskUnsupported,
    "text_field_not_string": TextFieldNotString,
    "text_field_without_fields": TextFieldWithoutFields,
    "time_limit": TimeLimit,
    "tokenizer_panicked": TokenizerPanicked,
    "too_many_connections": TooManyConnections,
    "too_many_records": TooManyRecords,
    "too_many_rows_without_text": TooManyRowsWithoutText,
    "unclear_delimiter": UnclearDelimiter,
    "unknown_cursor": UnknownCursor,
    "unknown_field": UnknownField,
    "unknown_keep_tokens": UnknownKeepTokens,
    "unsafe_weights": UnsafeWeights,
    "unsupported_media_type": UnsupportedMediaType,
    "unsupported_model": UnsupportedModel,
    "unsupported_tokenizer": UnsupportedTokenizer,
    "unusable_text_field": UnusableTextField,
    "upload_aborted": UploadAborted,
    "upload_too_large": UploadTooLarge,
    "vocab_size_above_base": VocabSizeAboveBase,
    "vocab_size_below_floor": VocabSizeBelowFloor,
    "worker_lost": WorkerLost,
    "worker_stopped": WorkerStopped,
    "zstd_window_too_long": ZstdWindowTooLong,
}
