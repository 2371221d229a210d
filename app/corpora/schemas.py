"""Options of an upload."""

from pydantic import BaseModel, ConfigDict, Field

from app.contract.corpora import Format
from app.contract.text import PRINTABLE


class CorpusOptions(BaseModel):
    """Say how an upload is to be read, as form fields or query parameters."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        None, max_length=200, pattern=PRINTABLE, description="A name for people"
    )
    format: Format | None = Field(
        None,
        description="Told from the content, the file name and the media type when left out, else "
        "`text`; `json` is an array, or objects over several lines; "
        "`records` are JSON objects of any fields, a line each: labelled data for a task",
    )
    text_field: str | None = Field(
        None,
        max_length=200,
        pattern=PRINTABLE,
        description="The key or column that holds the text; when left out, `text`, else the only "
        "one, else of JSON and Parquet the only one with strings",
    )
