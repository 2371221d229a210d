"""Keep how a corpus is read, the rows passed over, and its first documents."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

COLUMNS = ("delimiter", "quoting", "encoding", "skipped", "skipped_lines", "preview")


def upgrade() -> None:
    for name in COLUMNS[:3]:
        op.add_column("corpora", sa.Column(name, sa.String(), nullable=True))
    op.add_column(
        "corpora", sa.Column("skipped", sa.BigInteger(), nullable=False, server_default="0")
    )
    for name in COLUMNS[4:]:
        op.add_column("corpora", sa.Column(name, sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.drop_column("corpora", name)
