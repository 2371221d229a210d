"""The general text that every installation has: prose of about 150 words, the same each time."""

import os
import subprocess
import sys

import pytest

from worker.general_text import MAX_PASSAGES, SOURCES, default_passages, passages

WORDS = "The quick brown fox jumps over the lazy dog and runs away"


def prose(sentences: int) -> str:
    return " ".join(f"{WORDS} for the {'x' * n} time." for n in range(1, sentences + 1))


def test_a_document_is_cut_into_passages_of_whole_sentences() -> None:
    found = list(passages(prose(30)))
    assert " ".join(found) == prose(30)
    # A sentence has 16 words.
    assert [len(passage.split()) for passage in found] == [160, 160, 160]
    assert all(passage.endswith(" time.") for passage in found)


def test_only_prose_is_taken() -> None:
    document = f"""\
Title of it
===========

{prose(4)}

```python
This is code in a fence that reads like a sentence of prose.
```

    >>> for number in range(3): print(number) and so on and so on.

| a table | of some | columns with quite a few words in each of its cells. |

https://example.com/a/page/of/some/kind
[![badge](https://example.com/badge.svg)](https://example.com)

.. note:: A directive of reStructuredText that is as long as a sentence is.

if not expression: raise AssertionError(expression) for x in range(10).

- See [the manual](https://example.com/manual) for what `run` does, which is <b>not</b> much.
"""
    assert list(passages(document)) == [
        f"{prose(4)} See the manual for what run does, which is not much."
    ]


def test_no_sentence_comes_twice() -> None:
    seen = set[str]()
    first = list(passages(prose(30), seen))
    assert first
    assert not list(passages(prose(30), seen))


@pytest.mark.slow
def test_what_is_installed_gives_hundreds_of_passages() -> None:
    found = default_passages()
    assert 500 < len(found) <= MAX_PASSAGES
    assert len(set(found)) == len(found)
    lengths = sorted(len(passage.split()) for passage in found)
    assert lengths[0] >= 40
    assert 145 < lengths[len(lengths) // 2] < 200
    for mark in (">>>", "http://", "https://", "```", "::=", "\n"):
        assert not [passage for passage in found if mark in passage], mark


@pytest.mark.slow
def test_each_source_gives_some_and_a_limit_holds() -> None:
    for name in SOURCES:
        assert len(default_passages((name,))) > 50, name
    assert default_passages(limit=20) == default_passages()[:20]


@pytest.mark.slow
def test_another_process_finds_the_same() -> None:
    script = (
        "import hashlib; from worker.general_text import default_passages as found;"
        "print(hashlib.sha256(repr(found()).encode()).hexdigest())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1
