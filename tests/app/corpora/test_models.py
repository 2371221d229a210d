"""Corpora from before the columns of how they are read are still read and shown."""

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from app.contract.corpora import CorpusView
from app.corpora.documents import Layout
from app.corpora.models import Corpus
from app.db import MIGRATIONS, Database
from tests.support.postgres import fresh_database

OLD = (
    "INSERT INTO corpora (id, format, text_field, bytes, sha256, documents, characters, created_at)"
    " VALUES ('corpus_1', 'csv', 'text', 1, '0', 1, 1, '2026-01-01 00:00:00')"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Iterator[Database]:
    if request.param == "sqlite":
        yield Database(f"sqlite:///{request.getfixturevalue('tmp_path')}/old.db")
        return
    with fresh_database(request.getfixturevalue("postgres")) as url:
        database = Database(url)
        yield database
        database.close()


def test_an_old_corpus_is_migrated(db: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with db.write() as session:
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "0001")
        session.execute(text(OLD))
    db.migrate()
    with db.read() as session:
        corpus = session.get_one(Corpus, "corpus_1")
    assert corpus.layout == Layout("csv", None, "text")
    shown = CorpusView.model_validate(corpus)
    assert (shown.skipped, shown.skipped_lines, shown.preview) == (0, [], [])
    assert (shown.delimiter, shown.encoding) == (None, None)
