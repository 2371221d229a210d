"""A PostgreSQL for the tests of this folder."""

from tests.app.postgres import postgres

__all__ = ["postgres"]
