"""Lists, newest first, a page at a time."""

from collections.abc import Sequence
from typing import Annotated, Generic, Literal, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.errors import ProblemError
from app.ids import is_id

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    object: Literal["list"] = "list"
    data: list[T]
    has_more: bool = Field(description="Whether more follow: ask with `after` the last `id` here")


class PageQuery(BaseModel):
    """The page of a list that is asked for; subclass it to filter by more."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100, description="How many at most")
    after: str | None = Field(None, description="The last `id` of the page before", max_length=64)


PageDep = Annotated[PageQuery, Query()]


def fetch_page(
    session: Session,
    statement: Select[T],
    id_column: InstrumentedAttribute[str],
    page: PageQuery,
) -> tuple[Sequence[T], bool]:
    """The rows of a page and whether more follow; ids sort by the time they were made."""
    if page.after is not None:
        known = select(id_column).where(id_column == page.after)
        if not is_id(page.after) or session.scalar(known) is None:
            raise ProblemError(
                "unknown_cursor",
                f"Nothing here has the id {page.after!r}. Give as `after` the last id of the page "
                "before, or leave it out to start at the newest.",
            )
        statement = statement.where(id_column < page.after)
    rows = session.scalars(statement.order_by(id_column.desc()).limit(page.limit + 1)).all()
    return rows[: page.limit], len(rows) > page.limit
