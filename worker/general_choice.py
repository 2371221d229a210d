"""Choose the general text of a job's recovery, and say where it is from."""

import logging
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from app.contract.errors import UserFault
from app.contract.recipe import RecoveryRecipe
from app.corpora.documents import read_documents
from app.corpora.formats.layout import HEAD, Hints, detect_layout
from app.settings import Settings
from worker.compression import Texts
from worker.compression.recovery.data import MAX_GENERAL_CHARACTERS
from worker.context import JobContext
from worker.general_text import default_passages

log = logging.getLogger(__name__)

OFF = "none"
SUFFIXES = {".txt", ".jsonl"}
_NO_TEXT = (
    "FVT_GENERAL_TEXT is {path}, and {why}: name a file or a folder with text in .txt or .jsonl, "
    "or set it to `none`."
)
_SAMPLED, _SAMPLED_CHARACTERS = 200, 500
_LEAST_SHARED = 0.5
"""Share of the letters of a corpus that are of the script of the general text."""


@dataclass(frozen=True)
class General:
    """Hold general text, None where there is none, where it is from, and what speaks against it."""

    source: str
    texts: Texts | None = None
    warning: str | None = None


def general_text(context: JobContext) -> General:
    """Choose what a job is trained on beside its corpus: the recipe's, else the service's.

    The service's is left out where the corpus is in another script.
    """
    recipe, setting = context.recipe.recovery, context.settings.general_text
    if recipe.general_corpus_id:
        texts = context.other_texts("general", recipe.general_corpus_id)
        scripts = _other_scripts(texts, context.training_texts())
        warning = scripts and (
            f"The general corpus is in {scripts[0]} script, and the corpus mostly in "
            f"{scripts[1]}: the model was trained on it as asked, which may do harm. Give general "
            "text in the language of the domain."
        )
        return General(f"the corpus {recipe.general_corpus_id}", texts, warning)
    if setting == OFF:
        return _nothing("this service has no general text", recipe)
    if setting:
        texts, source = operators_texts(Path(setting)), "text that this service was given"
    else:
        texts, source = default_passages, "English documentation that is installed with the service"
    if scripts := _other_scripts(texts, context.training_texts()):
        reason = f"the service's is in {scripts[0]} script, and the corpus mostly in {scripts[1]}"
        return _nothing(reason, recipe)
    return General(source, texts)


def _nothing(reason: str, recipe: RecoveryRecipe) -> General:
    """Return that there is none, with a warning where it was asked for."""
    warning = None
    if recipe.general_share:
        warning = (
            f"`recovery.general_share` was asked for, and there was no general text: {reason}. "
            "Give a `general_corpus_id` in the language of the corpus."
        )
    return General(f"none: {reason}", None, warning)


def check_general_text(settings: Settings) -> None:
    """End a worker whose operator's general text is not there, or cannot be read.

    Raises:
        SystemExit: the message says what to do.

    """
    if settings.general_text in {"", OFF}:
        return
    path, characters = Path(settings.general_text), 0
    try:
        for text in operators_texts(path, strict=True)():
            characters += len(text.strip())
            if characters > MAX_GENERAL_CHARACTERS:
                break
    except (OSError, UserFault) as error:
        raise SystemExit(_NO_TEXT.format(path=path, why=error)) from error
    if not characters:
        raise SystemExit(_NO_TEXT.format(path=path, why="there is no text"))


def operators_texts(path: Path, *, strict: bool = False) -> Texts:
    """Return the stream of the documents of a file, or of a folder's files by their names.

    In a file of `.txt` a document is a line, as in a corpus. What cannot be read is logged and
    passed over, since no user can mend it; with `strict`, `OSError` and `UserFault` are raised.
    """

    def stream() -> Iterator[str]:
        found = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES)
        found = [file for file in found if file.is_file()]
        for file in found if path.is_dir() else [path]:
            try:
                yield from _documents(file)
            except (OSError, UserFault) as error:
                if strict:
                    raise
                log.warning("the general text in %s cannot be read: %s", file, error)

    return stream


def _documents(file: Path) -> Iterator[str]:
    with file.open("rb") as source:
        head = source.read(HEAD)
        layout = detect_layout(head, len(head) < HEAD, Hints(filename=file.name))
        yield from read_documents(source, layout)


def _other_scripts(general: Texts, domain: Texts) -> tuple[str, str] | None:
    """Return the scripts of both where most of the domain's letters are of another; else None."""
    of_general, of_domain = scripts_of(general()), scripts_of(domain())
    if not of_general or not of_domain:
        return None
    main = max(of_general, key=lambda script: of_general[script])
    if of_domain[main] >= _LEAST_SHARED * of_domain.total():
        return None
    return main, max(of_domain, key=lambda script: of_domain[script])


def scripts_of(texts: Iterable[str]) -> Counter[str]:
    """Count the letters of the first texts by their scripts, as Latin, Cyrillic or CJK."""
    letters = Counter[str]()
    for text in islice(texts, _SAMPLED):
        letters.update(text[:_SAMPLED_CHARACTERS])
    counts = Counter[str]()
    for letter, count in letters.items():
        if letter.isalpha():
            counts[_script(letter)] += count
    return counts


_JAPANESE = {"Hiragana", "Katakana"}


@cache
def _script(letter: str) -> str:
    """Return what the Unicode name of a letter begins with, which is its script."""
    first = unicodedata.name(letter, "other").partition(" ")[0]
    if first == "CJK":
        return first
    script = first.capitalize()
    return "CJK" if script in _JAPANESE else script
