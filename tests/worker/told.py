"""What a spare process is told to run: `main` does as its arguments say."""

import faulthandler
import os
import subprocess
import sys

from tests.hostile_extension.acts import ACTS


def main() -> int:
    what, *rest = sys.argv[1:]
    # pytest's own: a crash that is meant would print its stack amid the results.
    faulthandler.disable()
    if what in ACTS:
        ACTS[what]()
    if what == "leave":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(what, rest, os.environ.get("FVT_TOLD"))
    sys.stderr.write("and its errors: ä\n")
    return 3
