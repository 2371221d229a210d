"""Dependencies of routes, as `Annotated` aliases; `app.main` puts each on `app.state`."""

from collections.abc import Callable
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.base_models.examination import Examiner
from app.blobs import Blobs
from app.broker import Dispatcher
from app.db import Database
from app.settings import Settings


async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


async def _database(request: Request) -> Database:
    return cast(Database, request.app.state.db)


async def _blobs(request: Request) -> Blobs:
    return cast(Blobs, request.app.state.blobs)


async def _dispatcher(request: Request) -> Dispatcher:
    return cast(Dispatcher, request.app.state.dispatcher)


async def _examiner(request: Request) -> Examiner:
    return cast(Examiner, request.app.state.examiner)


# Finds an active job that reads a corpus, by the corpus's id: jobs know corpora, not the reverse.
FindReader = Callable[[Session, str], str | None]


async def _find_reader(request: Request) -> FindReader:
    return cast(FindReader, request.app.state.find_corpus_reader)


ExaminerDep = Annotated[Examiner, Depends(_examiner)]
SettingsDep = Annotated[Settings, Depends(_settings)]
DatabaseDep = Annotated[Database, Depends(_database)]
BlobsDep = Annotated[Blobs, Depends(_blobs)]
DispatcherDep = Annotated[Dispatcher, Depends(_dispatcher)]
FindReaderDep = Annotated[FindReader, Depends(_find_reader)]
