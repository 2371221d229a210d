"""Choose the general text of a job's recovery, and say where it is from."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from app.contract.errors import UserFault
from app.corpora.documents import read_documents
from app.corpora.formats.layout import HEAD, Hints, detect_layout
from app.settings import Settings
from worker.compression import Texts
from worker.context import JobContext
from worker.general_text import default_passages

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
        warning = None
        if recipe.general_share:
            warning = (
                "`recovery.general_share` was asked for, and this service has no general text: "
                "nothing but the corpus was trained on. Give a `general_corpus_id`."
            )
        return General("none: this service has no general text", None, warning)
    if setting:
        texts, source = operators_texts(Path(setting)), "text that this service was given"
    else:
        texts, source = default_passages, "English documentation that is installed with the service"
    if scripts := _other_scripts(texts, context.training_texts()):
        return General(
            f"none: the service's is in {scripts[0]} script, and the corpus mostly in "
            f"{scripts[1]}. Give a `general_corpus_id` in the language of the corpus"
        )
    return General(source, texts)


def check_general_text(settings: Settings) -> None:
    """End a worker whose operator's general text is not there, or cannot be read.

    Raises:
        SystemExit: the message says what to do.

    """
    if settings.general_text in {"", OFF}:
        return
    path = Path(settings.general_text)
    try:
        if not any(text.strip() for text in operators_texts(path)()):
            raise SystemExit(_NO_TEXT.format(path=path, why="there is no text"))
    except (OSError, UserFault) as error:
        raise SystemExit(_NO_TEXT.format(path=path, why=error)) from error


def operators_texts(path: Path) -> Texts:
    """Return the stream of the documents of a file, or of a folder's files by their names.

    In a file of `.txt` a document is a line, as in a corpus. Raises `OSError` and `UserFault` when
    it is read.
    """

    def stream() -> Iterator[str]:
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        if not path.is_file() and not path.is_dir():
            raise FileNotFoundError("there is no such file or folder")
        for file in found:
            if file.is_file() and (file == path or file.suffix.lower() in SUFFIXES):
                yield from _documents(file)

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
