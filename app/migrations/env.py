"""Alembic's entry: migrates over the connection that `Database.migrate` hands in."""

from typing import Any, Literal

from alembic import context

import app.corpora.models
import app.jobs.models
import app.maintenance.duty
import app.maintenance.ownership  # noqa: F401
from app.db import Base, UtcDateTime


def _render(type_: str, item: Any, _context: Any) -> str | Literal[False]:
    return "UtcDateTime()" if type_ == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_item=_render,
)
context.run_migrations()
