"""What a stage or a process of its own does instead of its work."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
BLOCK = 64 << 20


def hold() -> None:
    """Stand still in native code that holds the interpreter's lock: no thread runs, no handler."""
    while True:
        # A signal wakes it, and it sleeps on.
        ctypes.PyDLL(None).sleep(600)


def leave_orphans() -> None:
    """Start a process in a session of its own, whose parent then ends; and stand still."""
    starts = f"import subprocess; subprocess.Popen({SLEEPER!r}, start_new_session=True)"
    subprocess.run([sys.executable, "-c", starts], check=True, start_new_session=True)
    subprocess.Popen(SLEEPER, start_new_session=True)
    hold()


def grow() -> None:
    """Take ever more memory."""
    blocks = []
    while True:
        blocks.append(bytearray(os.urandom(1) * BLOCK))
        time.sleep(0.05)


def crash() -> None:
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def panic(*_: object) -> None:
    """Have a library in Rust panic."""
    content = {
        "version": "1.0",
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
        "model": {"type": "WordPiece", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"},
    }
    Tokenizer.from_str(json.dumps(content))


def freeze() -> None:
    """Stop as by SIGSTOP, for ever."""
    os.kill(os.getpid(), signal.SIGSTOP)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


ACTS: dict[str, Callable[[], None]] = {
    act.__name__: act for act in (hold, leave_orphans, grow, crash, abort, panic, freeze, die)
}


def said() -> tuple[str, str]:
    """Return which stage, or `child`, is to do what; two empty strings where nothing is."""
    file = Path(os.environ["FVT_TEST_ACT"])
    where, _, act = file.read_text().partition(" ") if file.exists() else ("", "", "")
    return where, act
