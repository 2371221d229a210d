"""Keeps one command alive no longer than whoever started it: `python -m app.cli.supervise`.

Standard input is a pipe from the launcher. Its end is the order to stop, and the kernel gives that
order too where the launcher is killed. The keeper leads the process group of the command, and
takes all of the group along: a worker's pool and what its jobs started.
"""

import os
import select
import signal
import subprocess
import sys

POLL_SECONDS = 0.2


def main() -> int:
    """Run `keeper GRACE_SECONDS COMMAND…`; the exit code is the command's."""
    grace, command = float(sys.argv[1]), sys.argv[2:]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603
    while child.poll() is None:
        if launcher_wants_an_end():
            stop(child, grace)
            os.killpg(0, signal.SIGKILL)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def launcher_wants_an_end() -> bool:
    """Tell whether the pipe ended within a poll."""
    return bool(select.select([sys.stdin], [], [], POLL_SECONDS)[0])


def stop(child: subprocess.Popen[bytes], grace: float) -> None:
    """Ask the command to end, and give it time to."""
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        print(f"still running {grace:g} s after SIGTERM; killing it", flush=True)


if __name__ == "__main__":
    sys.exit(main())
