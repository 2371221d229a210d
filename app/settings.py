"""Every setting of the service, read from `FVT_…` environment variables."""

from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

GIB = 1 << 30
SHUTDOWN_SECONDS = 20.0


class Settings(BaseSettings):
    """The settings of the API and of the worker; both read the same ones."""

    model_config = SettingsConfigDict(env_prefix="FVT_", extra="ignore")

    data_dir: Path = Field(
        Path("fvt-data"), description="Folder of the defaults below: database, files, workspaces."
    )
    database_url: str = Field(
        "", description="SQLAlchemy URL; SQLite in the data folder when empty.", examples=[""]
    )
    database_seconds: float = Field(
        5,
        ge=1,
        description="How long a call waits for a lock or an answer of the database before it is "
        "answered with 503.",
    )
    blobs_url: str = Field(
        "", description="`s3://`, `gs://`, `az://` or `file://` URL of uploads and results."
    )
    broker_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="The Redis or Valkey that carries the messages to the workers.",
    )
    models_dir: Path | None = Field(
        None, description="Folder of local base models, each as `name` or `org/name`."
    )
    max_model_bytes: int = Field(
        8 * GIB,
        gt=0,
        description="Largest weights of a base model; a worker needs 3 to 5 times it.",
    )
    hub: bool = Field(True, description="Whether base models may come from the Hugging Face hub.")
    hub_seconds: float = Field(
        5,
        ge=0,
        description="How long a submission waits for the hub to say whether it has the model; "
        "with 0 it is not asked, and a worker finds out.",
    )

    extensions: list[str] = Field(
        default_factory=list,
        description="Packages that add metrics, runtimes or objectives, a JSON list: the API and "
        "the workers import `names` of each, the workers `engine` too.",
    )

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Where a worker runs models: `auto` takes a GPU where there is one, `cpu` "
        "leaves it alone, and with `cuda` the worker does not start without one.",
    )

    auth: Literal["on", "off"] = Field(
        "on", description="`off` serves anyone who reaches the port; `fvt up` does so on loopback."
    )
    api_keys: list[SecretStr] = Field(
        default_factory=list,
        description="Accepted bearer keys, a JSON list of strings, each of 16 printable ASCII "
        "characters or more: `openssl rand -hex 32` makes one.",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Names in `Host` that are answered to, a JSON list as "
        '`["fvt.example.com", "*.example.org"]`, `["*"]` for any; loopback and the address of the '
        "connection always are. When empty: with `FVT_AUTH=off` only those, else any.",
    )

    max_connections: int = Field(
        1000,
        ge=1,
        description="Requests at once, event streams among them; above it the answer is 503. "
        "Connections that have sent no whole request yet make way for new ones.",
    )
    request_seconds: float = Field(
        20,
        gt=0,
        description="How long a client may take for the head of a request, and how long its body "
        "may stop; after them a body must come at 1 KiB a second or more.",
    )

    download_redirect: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether a download is redirected to a signed URL of the object store: `auto` "
        "does so on `s3://`, `gs://` and `az://`; `off` sends the bytes through the API, for "
        "clients that cannot reach the store; with `on` the service does not start on a folder.",
    )
    max_upload_bytes: int = Field(16 * GIB, gt=0, description="Largest corpus upload, as sent.")
    max_corpus_bytes: int = Field(64 * GIB, gt=0, description="Largest corpus once decompressed.")
    max_compression_ratio: int = Field(
        200, gt=1, description="Decompressed over compressed size above which a corpus is refused."
    )
    max_skipped_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the rows of a corpus that may lack text; with more of them it is "
        "refused, since then another field is meant.",
    )

    min_free_bytes: int = Field(
        32 << 20,
        ge=0,
        description="Bytes that stay free on the disks of the files and of the workspaces: what "
        "would go below is refused with 507 before it begins.",
    )
    reap_seconds: float = Field(
        60,
        gt=0,
        description="How often files that belong to nothing are looked for, by one API at a time, "
        "and by each worker in its own workspaces.",
    )
    abandoned_seconds: float = Field(
        24 * 3600,
        gt=0,
        description="Age from which an unfinished upload, or an uploaded file that no corpus "
        "names, counts as abandoned; longer than any upload or download takes.",
    )
    keep_corpora_days: float | None = Field(
        None,
        gt=0,
        description="Days after its upload that a corpus is deleted, unless a job that is not "
        "over reads it; empty keeps it.",
    )
    keep_artifacts_days: float | None = Field(
        None,
        gt=0,
        description="Days after its end that the files of a job's result are deleted; the job "
        "itself stays, and downloads answer 410. Empty keeps them.",
    )
    keep_jobs_days: float | None = Field(
        None,
        gt=0,
        description="Days after its end that a job is deleted, with its result; empty keeps it.",
    )

    lease_seconds: float = Field(
        60, gt=0, description="How long a claimed job stays its worker's without a heartbeat."
    )
    heartbeat_seconds: float = Field(10, gt=0, description="How often a worker renews its lease.")
    checkpoint_seconds: float = Field(
        60, gt=0, description="How often a worker saves how far a recovery is."
    )
    general_text: str = Field(
        "",
        description="File or folder of general text, `.txt` or `.jsonl`, read as corpora are, for "
        "jobs that ask for a share of it (`recovery.general_share`). When empty: English "
        "documentation that is installed with the worker; `none`: no general text.",
        examples=["", "none", "/data/general"],
    )
    recovery_processes: int = Field(
        1, ge=1, le=64, description="Processes that recover a model together, each on its own GPU."
    )
    max_recovery_minutes: float = Field(
        10_000,
        gt=0,
        description="Most minutes that a model of one size is recovered for: presets end there, "
        "and a recipe that asks for more is refused.",
    )
    max_attempts: int = Field(
        3,
        ge=1,
        description="Claims of one job before it fails for good; one that a worker handed back "
        "because it was stopped does not count.",
    )
    job_time_limit_seconds: int = Field(
        6 * 3600,
        gt=0,
        description="Longest run of one attempt; then its processes are ended and the job fails.",
    )
    job_memory_bytes: int | None = Field(
        None,
        gt=0,
        description="Memory that the processes of one job may hold together, GPUs aside; then they "
        "are ended and the job fails. Empty: 90 % of what the machine or the container has.",
    )
    shutdown_seconds: float = Field(
        SHUTDOWN_SECONDS,
        ge=0,
        description="How long a worker that is told to stop waits for a job to save how far it is, "
        "before it hands the job back: less than whoever stops it waits for the worker.",
    )
    dispatch_seconds: float = Field(
        2,
        gt=0,
        # Its name until version 0.2 is read as well.
        validation_alias=AliasChoices(
            "FVT_DISPATCH_SECONDS", "FVT_DOORBELL_SECONDS", "dispatch_seconds"
        ),
        description="How often the API looks for jobs whose message must be sent (again).",
    )

    @field_validator(
        "keep_corpora_days",
        "keep_artifacts_days",
        "keep_jobs_days",
        "job_memory_bytes",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _fill_from_data_dir(self) -> Self:
        root = self.data_dir.absolute()
        self.database_url = self.database_url or f"sqlite:///{root / 'fvt.db'}"
        self.blobs_url = self.blobs_url or (root / "blobs").as_uri()
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError("FVT_LEASE_SECONDS must be at least twice FVT_HEARTBEAT_SECONDS")
        if self.download_redirect == "on" and self.blobs_url.startswith(("file:", "memory:")):
            raise ValueError(
                "FVT_DOWNLOAD_REDIRECT=on needs an object store: set FVT_BLOBS_URL to an s3://, "
                "gs:// or az:// URL, or leave FVT_DOWNLOAD_REDIRECT at auto"
            )
        return self

    @property
    def workspaces(self) -> Path:
        """The folder of the intermediate files of a worker's jobs."""
        return self.data_dir.absolute() / "workspaces"


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
