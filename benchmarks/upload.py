"""Upload a corpus of 1 GB and compare the time with `sha256sum` of the same file.

`python -m benchmarks.upload` starts a real API process on a fresh folder, sends the file with curl
as a form and as a raw body, in turn with `sha256sum`, and prints the medians and how much the
memory of the API process grew.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.recording import recorded

SIZE = 1_000_000_000
ROUNDS = 3
TEXT = "the patient was given aspirin for naïve pain and it went away after two days"


@dataclass(frozen=True)
class Server:
    """A running API process."""

    url: str
    process: psutil.Process


def main() -> None:
    """Run the comparison and print one line of JSON."""
    with tempfile.TemporaryDirectory(prefix="fvt-upload-") as folder:
        corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else generate(Path(folder) / "corpus.txt")
        with serving(Path(folder) / "data") as server:
            print(json.dumps(compare(corpus, server), indent=2))


def compare(corpus: Path, server: Server) -> dict[str, object]:
    """Time each way in turn; returns medians, ratios and memory."""
    ways: dict[str, Callable[[], object]] = {
        "sha256sum": lambda: run("sha256sum", corpus),
        "form": lambda: upload(server, "-F", f"file=@{corpus}"),
        "raw": lambda: upload(server, "-T", corpus, "-X", "POST"),
    }
    before = server.process.memory_info().rss
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with highest_rss(server.process) as highest:
        for _ in range(ROUNDS):
            for name, way in ways.items():
                seconds[name].append(timed(way))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "bytes": corpus.stat().st_size,
        "seconds": {name: round(value, 2) for name, value in medians.items()},
        "ratio_form": round(medians["form"] / medians["sha256sum"], 2),
        "ratio_raw": round(medians["raw"] / medians["sha256sum"], 2),
        "rss_before_mib": before >> 20,
        "rss_growth_mib": (max(highest) - before) >> 20,
    }


def generate(path: Path) -> Path:
    """Lines of words, some of them not ASCII."""
    words = TEXT.split()
    lines = [" ".join(words[i % 7 :] + words[: i % 5]) + "\n" for i in range(1000)]
    block = "".join(lines).encode()
    with path.open("wb") as file:
        while file.tell() < SIZE:
            file.write(block)
    return path


@contextmanager
def serving(data: Path) -> Iterator[Server]:
    """One process of the API; nothing listens to its messages, which uploads do not need."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app.server"]
    env = os.environ | {"FVT_AUTH": "off", "FVT_DATA_DIR": str(data)}
    env["FVT_BROKER_URL"] = "redis://127.0.0.1:1/0"
    arguments = ["--port", str(port)]
    process = subprocess.Popen([*command, *arguments], env=env, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        url = f"http://127.0.0.1:{port}"
        await_health(url)
        yield Server(url, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def await_health(url: str) -> None:
    """Wait until the API answers."""
    for _ in range(300):
        try:
            httpx.get(f"{url}/healthz").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


def upload(server: Server, *arguments: object) -> None:
    """Send the file and delete the corpus again, so that the disk does not fill."""
    url = f"{server.url}/v1/corpora"
    corpus = json.loads(run("curl", "-sS", "--fail-with-body", *arguments, url))
    run("curl", "-sS", "-X", "DELETE", f"{url}/{corpus['id']}")


def run(*command: object) -> bytes:
    """A command's output; raises where it fails."""
    return subprocess.check_output([str(part) for part in command])  # noqa: S603


def timed(way: Callable[[], object]) -> float:
    """Seconds that it took."""
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


@contextmanager
def highest_rss(process: psutil.Process) -> Iterator[list[int]]:
    """A list that fills with the memory of a process, ten times a second."""
    seen = [process.memory_info().rss]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    with recorded():
        main()
