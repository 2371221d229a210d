"""Hosts and origins: which names a request may give, and which pages may send one.

A browser sends what a page of any site tells it to. Where no key is asked for, `Host` keeps out a
name that was made to point here (DNS rebinding), `Origin` and `Sec-Fetch-Site` the pages of others.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers

HOST = r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(?::([0-9]{0,5}))?"
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Host:
    """Name a host as `Host` and `Origin` do, in one spelling."""

    name: str
    """In lower case without a final dot; an IPv6 address without brackets."""
    port: int | None


def parse_host(given: str) -> Host | None:
    """Read a `Host` header; None where it is none."""
    match = re.fullmatch(HOST, given)
    if not match:
        return None
    bare = match[1].strip("[]")
    name = spelled(bare)
    if ":" in bare and name is None:
        return None
    return Host(name or bare.lower().removesuffix("."), int(match[2]) if match[2] else None)


def spelled(address: str) -> str | None:
    """Spell an IP address in its one canonical way; None where it is none."""
    try:
        ip = ipaddress.ip_address(address.removesuffix("."))
    except ValueError:
        return None
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def is_loopback(name: str) -> bool:
    """Tell whether only this machine is reached by this name or address."""
    address = spelled(name)
    if address is None:
        return name == "localhost"
    return ipaddress.ip_address(address).is_loopback


class AllowedHosts:
    """Hold the names under which the service answers.

    Loopback and the address of the connection itself are always among them: no foreign name is
    spelled like them. `*.example.com` allows every name below, `*` every name.
    Raises `ValueError` where an entry is no name or address.
    """

    def __init__(self, given: Iterable[str]) -> None:
        self._any = False
        self._names, self._below = set[str](), list[str]()
        for entry in given:
            self._add(entry.strip())

    def _add(self, entry: str) -> None:
        if entry == "*":
            self._any = True
            return
        wild = entry.startswith("*.")
        bare = entry.removeprefix("*.")
        host = parse_host(f"[{bare}]" if spelled(bare) and ":" in bare else bare)
        if host is None or host.port is not None:
            raise ValueError(
                f"FVT_ALLOWED_HOSTS: {entry!r} is no host. Give names or addresses without scheme, "
                'port or path, as in FVT_ALLOWED_HOSTS=\'["fvt.example.com", "*.example.org"]\'.'
            )
        if wild:
            self._below.append(f".{host.name}")
        else:
            self._names.add(host.name)

    def allows(self, name: str, local_address: str | None) -> bool:
        """Tell whether this name is answered to on a connection to `local_address`."""
        if self._any or name in self._names or is_loopback(name):
            return True
        if local_address and name == spelled(local_address):
            return True
        return any(name.endswith(ending) for ending in self._below)


def is_same_origin(headers: Headers, host: Host) -> bool:
    """Tell whether no page of another origin sent these headers; programs send none of them."""
    sites = headers.getlist("sec-fetch-site")
    if any(site.lower() not in {"same-origin", "none"} for site in sites):
        return False
    return all(_is_origin_of(origin, host) for origin in headers.getlist("origin"))


def _is_origin_of(origin: str, host: Host) -> bool:
    scheme, _, rest = origin.partition("://")
    default, given = DEFAULT_PORTS.get(scheme.lower()), parse_host(rest)
    if default is None or given is None:
        return False
    # A proxy may end TLS before us: the port that neither names is that of the page's scheme.
    ports = (given.port or default, host.port or default)
    return given.name == host.name and ports[0] == ports[1]


def is_visit(method: str, headers: Headers) -> bool:
    """Tell whether a browser opens a page as a whole, from a link on any other."""
    return (
        method in {"GET", "HEAD"}
        and headers.getlist("sec-fetch-mode") == ["navigate"]
        and headers.getlist("sec-fetch-dest") == ["document"]
        and "origin" not in headers
    )
