"""Keep every error code once, and say why a job can fail: through its user, or through us."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field


@dataclass(frozen=True)
class ErrorCode:
    """Describe an error, by its stable code.

    A `request` is refused with a problem document. A `user` error and a `system` error fail a job;
    where they have a `status` too, a request is refused with them if they show that early.
    """

    code: str
    origin: Literal["request", "user", "system"]
    status: int | None
    meaning: str
    remedy: str


def _request(status: int, code: str, meaning: str, remedy: str) -> ErrorCode:
    return ErrorCode(code, "request", status, meaning, remedy)


def _user(code: str, meaning: str, remedy: str, status: int | None = None) -> ErrorCode:
    return ErrorCode(code, "user", status, meaning, remedy)


def _system(code: str, meaning: str, remedy: str, status: int | None = None) -> ErrorCode:
    return ErrorCode(code, "system", status, meaning, remedy)


_CODES = (
    # Any call.
    _request(401, "missing_key", "The call needs a key.", "Send `Authorization: Bearer KEY`."),
    _request(
        401, "invalid_key", "The key is not accepted.", "Check it with whoever runs the service."
    ),
    _request(
        400,
        "malformed_request",
        "The request is not HTTP/1.1 as it is written, or its body cannot be read.",
        "Use an HTTP library to write it.",
    ),
    _request(
        400,
        "invalid_host",
        "`Host` is missing, given twice, or no name with or without a port.",
        "Send one `Host`, as HTTP libraries do.",
    ),
    _request(
        421,
        "host_not_allowed",
        "The service does not answer to the name in `Host`.",
        "Use a name that it answers to, or have it allowed with `FVT_ALLOWED_HOSTS`.",
    ),
    _request(
        403,
        "cross_origin",
        "A web page of another origin called a service that asks for no key.",
        "Call it from a page of its own or from a program; a proxy must pass `Host` on.",
    ),
    _request(
        408,
        "request_timeout",
        "The request stopped, or came too slowly.",
        "Send it again, within `FVT_REQUEST_SECONDS` and at 1 KiB a second or more.",
    ),
    _request(
        431,
        "request_head_too_large",
        "The request line and the headers are too large together.",
        "Send fewer or shorter ones; 32 KiB is the limit.",
    ),
    _request(
        503,
        "too_many_connections",
        "The service is at its limit of requests at once.",
        "Wait as `Retry-After` says; `FVT_MAX_CONNECTIONS` is the limit.",
    ),
    _request(
        404, "route_not_found", "There is nothing at this path.", "See `/docs` for the calls."
    ),
    _request(405, "method_not_allowed", "The path does not take this method.", "See `/docs`."),
    _request(
        406,
        "not_acceptable",
        "The answer is not available in the media types of `Accept`.",
        "Ask for one of those that the problem names.",
    ),
    _request(413, "request_too_large", "The body is too large.", "Send a smaller one."),
    _request(
        413,
        "sample_too_large",
        "More of a corpus was sent for an estimate than is read.",
        "Send its first 8 MiB with `corpus_bytes`, or upload it and give its `corpus_id`.",
    ),
    _request(
        415,
        "unsupported_media_type",
        "A job came in another content type than JSON or a form.",
        "Send `application/json`, or `multipart/form-data` with the corpus.",
    ),
    _request(
        422,
        "invalid_request",
        "A field or parameter is not what it must be.",
        "Mend each place that `errors` points to.",
    ),
    _request(
        400,
        "unknown_cursor",
        "`after` or the event id is none that was given out.",
        "Give the last id that you have, or none.",
    ),
    _request(
        503,
        "storage_unavailable",
        "The object store of the files is away, or silent for longer than a call waits.",
        "Send the call again as `Retry-After` says; an `Idempotency-Key` makes that safe.",
    ),
    _request(
        503,
        "not_ready",
        "The database, the broker or the file storage does not answer.",
        "Wait as `Retry-After` says; `failed` names what is down.",
    ),
    _request(
        503,
        "database_unavailable",
        "The database is locked, gone or silent for longer than a call waits "
        "(`FVT_DATABASE_SECONDS`).",
        "Send the call again as `Retry-After` says; an `Idempotency-Key` makes that safe.",
    ),
    _request(
        507,
        "insufficient_storage",
        "A disk of the service has no room for this; `needed_bytes` and `free_bytes` say how much.",
        "Delete corpora and jobs that are not needed, or have the disk made larger.",
    ),
    # Uploads and corpora.
    _request(400, "upload_aborted", "The upload stopped before its end.", "Send it again."),
    _request(
        400, "malformed_multipart", "The form is malformed.", "Use an HTTP library to write it."
    ),
    _request(422, "missing_file", "The form has no file.", "Send one in the field that is named."),
    _request(422, "more_than_one_file", "The form has several files.", "Send one a request."),
    _request(
        422,
        "unknown_field",
        "A field of the form is not known or is given twice.",
        "Send those that the problem lists, once each.",
    ),
    _request(
        413, "fields_too_large", "The fields beside the file are too large.", "Send less in them."
    ),
    _request(
        413,
        "upload_too_large",
        "The file is larger than this installation takes (`FVT_MAX_UPLOAD_BYTES`).",
        "Compress it with gzip or zstd, or send a sample.",
    ),
    _request(
        422,
        "corpus_too_large",
        "The corpus is too large once decompressed (`FVT_MAX_CORPUS_BYTES`).",
        "Send a sample of it.",
    ),
    _request(
        422,
        "decompression_bomb",
        "The corpus grows more than text does (`FVT_MAX_COMPRESSION_RATIO`).",
        "Send it less compressed.",
    ),
    _request(
        422, "broken_gzip", "The gzip file is cut off or damaged.", "Compress and send it again."
    ),
    _request(
        422, "broken_zstd", "The zstd file is cut off or damaged.", "Compress and send it again."
    ),
    _request(
        422,
        "sample_unreadable",
        "The beginning of a corpus of this format cannot be read alone.",
        "Send all of it, or upload it and give its `corpus_id`.",
    ),
    _request(422, "empty_corpus", "The corpus holds no text.", "Send at least one document."),
    _request(
        422,
        "binary_corpus",
        "The file is binary, not text.",
        "Send text, JSON lines, CSV, TSV or Parquet.",
    ),
    _request(
        422,
        "zstd_window_too_long",
        "The zstd file needs more memory to be read than is given to one upload.",
        "Compress it again without `--long`, or with `--long=27`.",
    ),
    _request(
        422,
        "corpus_needs_memory",
        "A row or a page of the corpus needs more memory to be read than is given to one upload.",
        "Cut long rows, write Parquet in smaller row groups, or send plain text.",
    ),
    _request(
        422,
        "unclear_delimiter",
        "The rows of the table do not agree on a delimiter.",
        "Send it with one delimiter, and quote fields that hold it.",
    ),
    _request(
        422,
        "too_many_rows_without_text",
        "More rows than allowed have no text (`FVT_MAX_SKIPPED_SHARE`).",
        "Give each row a text, leave such rows out, or name another `text_field`.",
    ),
    _request(
        422,
        "duplicate_text_field",
        "Several columns have the name of the text field.",
        "Give each column a name of its own.",
    ),
    _request(
        422,
        "unusable_text_field",
        "The text field holds something other than text.",
        "Name another field as `text_field`.",
    ),
    _request(422, "not_utf8", "The text is not UTF-8.", "Convert it, for example with `iconv`."),
    _request(422, "line_too_long", "A line is too long.", "Break it into shorter documents."),
    _request(422, "invalid_jsonl", "A line is not a JSON object.", "Put one object on each line."),
    _request(
        422,
        "invalid_csv",
        "The CSV or TSV table is malformed.",
        "Quote fields that hold a delimiter, a quote or a line break.",
    ),
    _request(
        422,
        "invalid_parquet",
        "The file is no whole Parquet file.",
        "Write it again, and send it as it was written.",
    ),
    _request(
        422,
        "missing_text_field",
        "The field that should hold the text is not there.",
        "Name it as `text_field`.",
    ),
    _request(
        422,
        "text_field_not_string",
        "The field that should hold the text is not of strings.",
        "Name another as `text_field`.",
    ),
    _request(
        422,
        "text_field_without_fields",
        "The format has no field to choose.",
        "Leave out `text_field`, or give another `format`.",
    ),
    _request(
        404,
        "corpus_not_found",
        "There is no corpus of this id.",
        "See `GET /v1/corpora`, or upload one.",
    ),
    _request(
        409,
        "corpus_in_use",
        "A job that has not ended reads the corpus.",
        "Wait for its end, or cancel it.",
    ),
    # Submissions.
    _request(400, "malformed_json", "The body is no JSON object.", "Send one."),
    _request(
        422,
        "invalid_recipe",
        "The recipe holds what cannot be, or what is not known.",
        "Mend each place that `errors` points to.",
    ),
    _request(
        422,
        "idempotency_key_reused",
        "The `Idempotency-Key` came before with another request.",
        "Take a new key for a new job.",
    ),
    _request(
        422,
        "corpus_without_text",
        "The corpus is labelled data, not text.",
        "Upload the text to compress for.",
    ),
    _request(
        422,
        "corpus_without_records",
        "A task reads rows, and the corpus has none.",
        "Upload JSON objects, a line each, as `format=records`.",
    ),
    _request(
        422,
        "too_many_records",
        "A corpus of a task is larger than a worker can hold.",
        "Upload a sample of the rows.",
    ),
    _request(
        422,
        "recovery_too_long",
        "More minutes of recovery are asked than this installation gives.",
        "Ask for less in `recovery.max_minutes`.",
    ),
    # Base models.
    _user(
        "invalid_model_id",
        "The id is not that of a model.",
        "Give `name` or `org/name`, as `GET /v1/base-models` lists them.",
        422,
    ),
    _user(
        "base_model_not_found",
        "There is no such model here, nor on the hub where it is allowed.",
        "Choose one of `GET /v1/base-models`.",
        422,
    ),
    _user(
        "revision_not_found",
        "The model has no such revision.",
        "Give a branch, a tag or a commit of it, or leave out `revision`.",
        422,
    ),
    _user(
        "remote_code_refused",
        "The model asks to run code of its own.",
        "Choose a model of a standard architecture.",
        422,
    ),
    _user(
        "unsafe_weights",
        "The model has only pickled weights, which can run code.",
        "Save it as safetensors with `save_pretrained`.",
        422,
    ),
    _user(
        "invalid_model",
        "The model's files are not whole, or do not belong together.",
        "Save it again with `save_pretrained`.",
        422,
    ),
    _user(
        "model_too_large",
        "The weights are larger than a worker can hold (`FVT_MAX_MODEL_BYTES`).",
        "Choose a smaller model.",
        422,
    ),
    _user(
        "no_fast_tokenizer",
        "The model has no `tokenizer.json`.",
        "Load its tokenizer with `AutoTokenizer` and save it.",
        422,
    ),
    _user(
        "unsupported_model",
        "Models of this type, or with such a tokenizer, cannot be compressed.",
        "Choose one of the types that are listed.",
        422,
    ),
    _user(
        "unsupported_tokenizer",
        "The tokenizer cannot be loaded, or not be trained anew.",
        "Choose a model with a fast WordPiece, BPE or Unigram tokenizer.",
    ),
    _user(
        "non_finite_weights",
        "A weight is NaN or infinite.",
        "Use a sound checkpoint.",
    ),
    _user(
        "base_model_changed",
        "The model's files changed while the job ran.",
        "Submit the job again.",
    ),
    _system(
        "hub_unreachable",
        "The Hugging Face hub does not answer.",
        "Submit the job again later, or have the model put into `FVT_MODELS_DIR`.",
        503,
    ),
    # What a recipe asks of a model and a corpus.
    _user(
        "corpus_empty",
        "No words, or no held-out texts, are in the corpus.",
        "Upload more documents.",
    ),
    _user(
        "corpus_too_small",
        "The corpus has too little text for what is asked.",
        "Upload more, or ask for fewer tokens.",
    ),
    _user(
        "vocab_size_below_floor",
        "The vocabulary has no room for the tokens that it must hold.",
        "Ask for at least as many as the message says.",
    ),
    _user(
        "vocab_size_above_base",
        "The vocabulary would not be smaller than the base's.",
        "Ask for fewer tokens, or for a fraction up to 1.",
        422,
    ),
    _user(
        "unknown_keep_tokens",
        "A token to keep is not one token of the base vocabulary.",
        "Mend or leave out those that are named.",
    ),
    _user(
        "multiword_unsupported",
        "Tokens of several words are not available with this tokenizer.",
        "Leave out `tokenizer.multiword`.",
    ),
    _user(
        "recovery_unsupported",
        "The model cannot be trained with this objective.",
        "Give `auto`.",
        422,
    ),
    _user(
        "keep_layers_above_base",
        "More layers are to be kept than the model has.",
        "Ask for as many at most.",
        422,
    ),
    _user(
        "recovery_too_short",
        "The time given is too short for one step.",
        "Give more in `recovery.max_minutes`, or a smaller batch.",
    ),
    _user(
        "out_of_memory",
        "The job, or a batch of it, does not fit in the worker's memory (`FVT_JOB_MEMORY_BYTES`).",
        "Give what the message names: a smaller batch, shorter texts or a smaller model.",
    ),
    _user(
        "export_unsupported",
        "A model of this kind or size is not exported, or the worker lacks the runtime.",
        "Leave out `export` or the runtime of `target`; or have what the message names installed.",
        422,
    ),
    _user(
        "export_failed",
        "The exported file does not compute what the model does.",
        "Leave out what the message names, and tell us of the model.",
    ),
    _user(
        "task_unsupported",
        "The model cannot have the head that the task needs.",
        "Choose another base model, or another task.",
        422,
    ),
    _user(
        "task_data_invalid",
        "The labelled data is not what the task says of it.",
        "Mend the row or the labels that the message names.",
    ),
    _user(
        "queries_in_task",
        "Queries to train on are among the texts that the task measures on.",
        "Leave them out of `recovery.queries_corpus_id`: its figures would say nothing.",
    ),
    _user(
        "gate_metric_not_measured",
        "The gate asks for a metric that the job does not measure.",
        "Name one that it does, or add its task.",
        422,
    ),
    _user(
        "gate_not_met",
        "The result falls short of the gate; report and result are kept.",
        "Ask for another size, or for less in `gate`.",
    ),
    _user(
        "target_out_of_reach",
        "No model that could be made of the base is as small as the target asks.",
        "Ask for as many bytes as the message says, or for another runtime or base model.",
        422,
    ),
    _user(
        "target_not_met",
        "None of the models that were made meets the target; report and models are kept.",
        "Ask for less in `target`: the message names the nearest and what it misses.",
    ),
    _system(
        "artifact_check_failed",
        "The new tokenizer or the finished model does not do what its base does.",
        "Tell us of the model; the message says what differs.",
    ),
    _user(
        "compression_failed",
        "The compression cannot go on as asked.",
        "Do what the message says.",
    ),
    _system(
        "tokenizer_panicked",
        "The tokenizers library broke down on the model's tokenizer or on a text.",
        "Choose another base model, or leave out what is unusual in the corpus.",
    ),
    _system(
        "library_crashed",
        "A library crashed on the model or on a text, and took its process along.",
        "Choose another base model, or leave out what is unusual in the corpus.",
    ),
    _system(
        "time_limit",
        "The job ran into the time limit (`FVT_JOB_TIME_LIMIT_SECONDS`).",
        "Use a smaller corpus, or have it raised.",
    ),
    _system(
        "disk_full",
        "A disk of the worker or of the files was full amid the job.",
        "Delete what is not needed, or have the disk made larger; then submit it again.",
    ),
    _system(
        "worker_lost",
        "The worker stopped in the middle of the job, at every attempt.",
        "Submit it again; the model or the corpus may be too large for the worker.",
    ),
    _system(
        "worker_stopped",
        "The worker was told to stop; the job goes on where it was, on the next one.",
        "Nothing: it is no end of a job, and counts as no attempt.",
    ),
    _system(
        "internal_error",
        "Something broke on our side; the log has it.",
        "Try again, and tell us the request id.",
        500,
    ),
    # Jobs and results.
    _request(404, "job_not_found", "There is no job of this id.", "See `GET /v1/jobs`."),
    _request(409, "job_active", "The job has not ended.", "Cancel it, then delete it."),
    _request(409, "job_already_ended", "The job has ended.", "There is nothing to cancel."),
    _request(409, "job_not_finished", "The job has no result yet.", "Wait until it has succeeded."),
    _request(409, "job_failed", "The job failed and left no result.", "Read its `error`."),
    _request(409, "job_cancelled", "The job was cancelled and left no result.", "Submit it again."),
    _request(
        410,
        "artifact_expired",
        "The result was kept as long as it is here (`FVT_KEEP_ARTIFACTS_DAYS`).",
        "Submit the job again.",
    ),
    _request(
        404,
        "artifact_not_found",
        "The result has no such file, or it is no longer in storage.",
        "See `GET /v1/jobs/{id}/artifacts`.",
    ),
    _request(
        416,
        "range_not_satisfiable",
        "The range is outside of the file.",
        "Ask for one within its bytes.",
    ),
)

ERRORS: dict[str, ErrorCode] = {error.code: error for error in _CODES}
"""The errors by their codes."""


def codes_said(*, of_jobs: bool) -> str:
    """Name the codes of job errors, or those of problems, for the description of a field."""
    found = (
        error.code
        for error in _CODES
        if (error.origin != "request" if of_jobs else error.status is not None)
    )
    return (
        "Stable, for programs; later versions may have more. Now one of "
        f"{', '.join(f'`{code}`' for code in sorted(found))}."
    )


class UserFault(Exception):  # noqa: N818
    """Something a user sent cannot work; the message says what to do about it.

    At submit it is answered as a 422 problem; in a worker it fails the job.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be copied, and pass from process to process."""
        return type(self), (self.code, self.message)


class JobError(BaseModel):
    """The reason why a job failed."""

    type: Literal["user", "system"]
    code: str = Field(description=codes_said(of_jobs=True), examples=["corpus_too_small"])
    message: str = Field(description="What is wrong and what to do, for people")
    retryable: bool = Field(description="Whether the same request can succeed later")
