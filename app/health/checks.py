"""What the service needs, asked one by one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from app.blobs import Blobs
from app.broker import Bell
from app.db import MIGRATIONS, Database
from app.ids import new_id

SECONDS = 2


def failed_checks(
    db: Database, blobs: Blobs, bell: Bell, ringing: asyncio.Task[None]
) -> dict[str, str]:
    """What does not work, and why; empty where all does."""
    checks: dict[str, Callable[[], None]] = {
        "database": lambda: _check_database(db),
        "broker": bell.check,
        "storage": lambda: _check_blobs(blobs),
        "doorbells": lambda: _check_ringing(ringing),
    }
    # Not as a context manager: that would wait for a check that hangs.
    pool = ThreadPoolExecutor(len(checks))
    futures = {name: pool.submit(check) for name, check in checks.items()}
    pool.shutdown(wait=False)
    wait(futures.values(), SECONDS)
    failed = {}
    for name, future in futures.items():
        try:
            future.result(0)
        except Exception as error:
            failed[name] = _reason(error)
    return failed


def _check_database(db: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with db.read() as session:
        current = session.scalar(text("SELECT version_num FROM alembic_version"))
    if current != newest:
        raise RuntimeError(f"its schema is at {current}, not {newest}")


def _check_blobs(blobs: Blobs) -> None:
    prefix = f"health/{new_id('check')}"
    blobs.put(f"{prefix}/data", b"ok")
    if blobs.size(f"{prefix}/data") != 2:
        raise RuntimeError("what was written cannot be read")
    blobs.delete_all(prefix)


def _check_ringing(ringing: asyncio.Task[None]) -> None:
    if ringing.done():
        raise RuntimeError("the loop that tells workers of jobs has stopped; restart the API")


def _reason(error: Exception) -> str:
    """The kind of failure; its message may hold addresses and passwords."""
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS} s"
    return str(error) if type(error) is RuntimeError else type(error).__name__
