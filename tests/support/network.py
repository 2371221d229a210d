"""Network namespaces on one bridge, and partitions between them; needs root and `ip`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

SUBNET = "198.18.{}"
"""Of the range that is kept for tests of networks (RFC 2544)."""


class Network:
    """Nodes with an address each, and this process as one more; all reach all at first."""

    def __init__(self) -> None:
        self._id = os.getpid() % 10_000
        self._hub = f"fvt{self._id}-hub"
        self._subnet = SUBNET.format(os.getpid() % 256)
        self._numbers: dict[str, int] = {}

    @property
    def range(self) -> str:
        return f"{self._subnet}.0/24"

    def start(self) -> None:
        """Make the bridge, and tie this process's own network to it."""
        ip("netns", "add", self._hub)
        self._in(self._hub, "link", "add", "bridge", "type", "bridge")
        self._in(self._hub, "link", "set", "bridge", "up")
        outside = f"fvt{self._id}"
        ip("link", "add", outside, "type", "veth", "peer", "name", "outside", "netns", self._hub)
        self._join("outside")
        ip("address", "add", f"{self._subnet}.254/24", "dev", outside)
        ip("link", "set", outside, "up")

    def add(self, node: str) -> str:
        """Make a node; returns its address."""
        self._numbers[node] = len(self._numbers) + 1
        space = self._space(node)
        ip("netns", "add", space)
        self._in(
            self._hub, "link", "add", node, "type", "veth", "peer", "name", "eth0", "netns", space
        )
        self._join(node)
        self._in(space, "address", "add", f"{self.address(node)}/24", "dev", "eth0")
        self._in(space, "link", "set", "lo", "up")
        self._in(space, "link", "set", "eth0", "up")
        return self.address(node)

    def address(self, node: str) -> str:
        return f"{self._subnet}.{self._numbers[node]}"

    def at(self, node: str) -> list[str]:
        """The words before a command that is to run on a node."""
        return ["ip", "netns", "exec", self._space(node)]

    def part(self, node: str, server: str) -> None:
        """Have nothing of what `server` sends arrive at `node`, nor any refusal: it is silent."""
        self._in(self._space(server), "route", "add", "blackhole", f"{self.address(node)}/32")

    def join(self, node: str, server: str) -> None:
        """Undo `part`."""
        self._in(self._space(server), "route", "del", "blackhole", f"{self.address(node)}/32")

    def unplug(self, node: str) -> None:
        """Cut a node off from everything."""
        self._in(self._hub, "link", "set", node, "down")

    def plug(self, node: str) -> None:
        """Undo `unplug`."""
        self._in(self._hub, "link", "set", node, "up")

    def stop(self) -> None:
        """Remove everything; the processes on the nodes must have ended."""
        for space in (self._hub, *map(self._space, self._numbers)):
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", space)
        # It goes with its other end, but only once the kernel has freed the namespace of that.
        with suppress(subprocess.CalledProcessError):
            ip("link", "del", f"fvt{self._id}")

    def _space(self, node: str) -> str:
        return f"fvt{self._id}-{node}"

    def _join(self, link: str) -> None:
        self._in(self._hub, "link", "set", link, "master", "bridge")
        self._in(self._hub, "link", "set", link, "up")

    def _in(self, space: str, *words: str) -> None:
        ip("-n", space, *words)


def ip(*words: str) -> None:
    """Run `ip`; raises CalledProcessError with what it says."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, ["ip", *words])
        error.add_note(done.stderr)
        raise error


@contextmanager
def network() -> Iterator[Network]:
    """An empty network until the block ends; skips the test where none can be made."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("network namespaces need Linux and root")
    if not (shutil.which("ip") and shutil.which("setpriv")):
        pytest.skip("network namespaces need `ip` (iproute2) and `setpriv` (util-linux)")
    made = Network()
    try:
        try:
            made.start()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not allowed here: {error.__notes__}")
        yield made
    finally:
        made.stop()
