"""Jobs for which a disk has no room."""

from app.contract.errors import JobError
from app.room import Shortage


class DiskFullError(Exception):
    """A disk of the worker or of the files is full, or would be amid the job."""

    def __init__(self, lacks: Shortage | None = None) -> None:
        super().__init__(f"a disk has too little room: {lacks}" if lacks else "a disk is full")
        self.lacks = lacks

    @property
    def job_error(self) -> JobError:
        """Say what its user is told."""
        found = "was full amid the job"
        if self.lacks:
            found = f"has too little room for the job, by estimate: {self.lacks}"
        return JobError(
            type="system",
            code="disk_full",
            message=f"A disk of the worker or of the files {found}. Delete corpora and jobs that "
            "are not needed, or have the disk made larger; then submit the job again.",
            retryable=True,
        )
