"""Collections to retrieve from, read from files as others publish them."""

from pathlib import Path

import pytest

from benchmarks.collections import collection

LONG = "It shows maps of hills, and of the ways that lead over them. " * 5

PACKAGES = f"""Package: hillmaps
Description-md5: 0123
Description-en: program - viewer of maps of hills (client)
 {LONG}
 .
 It needs a screen.

Package: libhills1
Description-md5: 4567
Description-en: library that reads maps of hills
 {LONG}

Package: valleys
Description-md5: 89ab
Description-en: viewer of maps of valleys
 Too short to be asked for.
"""


def test_packages_are_found_by_their_titles(tmp_path: Path) -> None:
    file = tmp_path / "Translation-en"
    file.write_text(PACKAGES, "utf-8")
    found = collection(str(file))
    assert found.documents == {"0": f"{LONG.strip()} It needs a screen."}
    assert found.queries == {"0": "viewer of maps of hills"}
    assert found.judgements == {"0": {"0": 1}}


def test_sentences_are_found_by_their_paraphrases(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('"A dog, running.",A dog runs.,4.8\nA cat.,A dog runs.,1\n')
    (tmp_path / "b.csv").write_text('"A dog, running.",The dog is running.,4\nA cat.,A hat.,3.9\n')
    found = collection(str(tmp_path))
    assert sorted(found.documents.values()) == ["A dog runs.", "A hat.", "The dog is running."]
    assert list(found.queries.values()) == ["A dog, running."]
    (judged,) = found.judgements.values()
    assert {found.documents[number] for number in judged} == {"A dog runs.", "The dog is running."}


@pytest.mark.slow
def test_docstrings_are_found_by_their_first_sentences() -> None:
    found = collection("docstrings")
    assert len(found.documents) == len(found.queries) > 1000
    asked = found.queries.items()
    repeated = [question for number, question in asked if question in found.documents[number]]
    assert len(repeated) < len(found.queries) / 100
