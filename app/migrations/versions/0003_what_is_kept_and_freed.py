"""Keep keys of uploads, who frees files, and what of a job is freed or expired."""

import sqlalchemy as sa
from alembic import op

from app.db import UtcDateTime

revision = "0003"
down_revision = "0002"

COLUMNS = ("artifact_expired_at", "freed_at")


def upgrade() -> None:
    op.create_table(
        "corpus_keys",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_sha256", sa.String(), nullable=False),
        sa.Column("corpus_id", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["corpus_id"], ["corpora.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index(op.f("ix_corpus_keys_corpus_id"), "corpus_keys", ["corpus_id"], unique=False)
    op.create_table(
        "duties",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "installations",
        sa.Column("id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for name in COLUMNS:
        op.add_column("jobs", sa.Column(name, UtcDateTime(), nullable=True))
    op.create_index("ix_idempotency_keys_job_id", "idempotency_keys", ["job_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_idempotency_keys_job_id", table_name="idempotency_keys")
    for name in reversed(COLUMNS):
        op.drop_column("jobs", name)
    op.drop_table("installations")
    op.drop_table("duties")
    op.drop_index(op.f("ix_corpus_keys_corpus_id"), table_name="corpus_keys")
    op.drop_table("corpus_keys")
