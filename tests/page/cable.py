"""A cable between a browser and a service that can be pulled out and put in again."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Cable:
    """Passes bytes from a port of its own to one of the service."""

    def __init__(self, port: int) -> None:
        self._service = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._whole = threading.Event()
        self._whole.set()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def pull(self) -> None:
        """Break all connections, and take no new ones."""
        self._whole.clear()
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def mend(self) -> None:
        """Take connections again."""
        self._whole.set()

    def close(self) -> None:
        """Break all connections for good."""
        self._listener.close()
        self.pull()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                browser, _ = self._listener.accept()
                if not self._whole.is_set():
                    browser.close()
                    continue
                service = socket.create_connection(self._service)
                self._open += [browser, service]
                for ends in ((browser, service), (service, browser)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cable_to(port: int) -> Iterator[Cable]:
    """Lay a cable to a port of this machine."""
    cable = Cable(port)
    try:
        yield cable
    finally:
        cable.close()
