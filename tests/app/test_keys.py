"""Keys that are too short, unsendable or doubled end the start, with a sentence."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.keys import MIN_KEY_LENGTH
from app.main import create_app
from app.security import KeyRing
from app.settings import Settings
from tests.support.commands import fvt

GOOD = "0123456789abcdef"


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (["k"], "key 1 of 1 has 1 characters"),
        ([GOOD, GOOD[:-1]], "key 2 of 2 has 15 characters"),
        ([GOOD, ""], "key 2 of 2 has 0 characters"),
        ([GOOD, GOOD], "key 2 of 2 is there twice"),
        (["a key with spaces in it"], "key 1 of 1 has spaces"),
        ([f"{GOOD} "], "spaces"),
        ([f"{GOOD}\n"], "spaces or characters"),
        (["öööööööööööööööööö"], "printable ASCII"),
    ],
)
def test_a_key_that_does_not_do_is_said_so(keys: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        create_app(Settings(auth="on", api_keys=keys))
    assert "openssl rand -hex 32" in str(refused.value)
    assert not any(key and key in str(refused.value) for key in keys if len(key) > 1)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=MIN_KEY_LENGTH))
def test_every_other_key_opens(key: str) -> None:
    ring = KeyRing(Settings(auth="on", api_keys=[key]))
    ring.check(f"Bearer {key}")


def test_without_auth_keys_do_not_matter() -> None:
    assert create_app(Settings(auth="off", api_keys=["k"]))


@pytest.mark.slow
def test_fvt_up_says_it_before_it_starts_anything(tmp_path: Path) -> None:
    refused = fvt("up", "--port", "0", "--data-dir", tmp_path, FVT_API_KEYS='["short"]')
    assert refused.returncode == 1
    assert "key 1 of 1 has 5 characters" in refused.stderr
    assert "Traceback" not in refused.stderr
