"""Measure the memory that processes hold, and that there is."""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from app.settings import Settings

SHARE = 0.9
"""Of the memory of the machine or of the container, what a job may hold where nothing is set."""
CGROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
# Pages of files count nowhere: the kernel takes them back, as those of weights that are mapped.
_HELD = re.compile(rb"^(?:Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+) kB", re.MULTILINE)
_RESIDENT = re.compile(rb"^Vm(?:RSS|Swap):\s+(\d+) kB", re.MULTILINE)


def memory_limit(settings: Settings) -> int:
    """Return the bytes that the processes of a job may hold together."""
    return settings.job_memory_bytes or int(SHARE * _available())


def _available() -> int:
    limits = [psutil.virtual_memory().total]
    for file in CGROUPS:
        # "max" is no limit.
        with suppress(OSError, ValueError):
            limits.append(int(file.read_text()))
    return min(limits)


def exceeds(processes: Iterable[psutil.Process], limit: int) -> bool:
    """Tell whether processes hold more than so many bytes, each page of several counted once."""
    pids = [process.pid for process in processes]
    # That a page is shared is slow to find out, and never makes it more.
    return sum(map(_most, pids)) > limit and sum(map(_held, pids)) > limit


def _most(pid: int) -> int:
    """Return what a process holds if it shares none of it."""
    return _sum(_RESIDENT, pid, "status")


def _held(pid: int) -> int:
    """Return what a process holds, of a page that several share its part."""
    return _sum(_HELD, pid, "smaps_rollup") or _most(pid)


def _sum(pattern: re.Pattern[bytes], pid: int, name: str) -> int:
    try:
        content = Path(f"/proc/{pid}/{name}").read_bytes()
    except FileNotFoundError:
        # Not Linux, or it has ended.
        with suppress(psutil.Error):
            return int(psutil.Process(pid).memory_info().rss)
        return 0
    except OSError:
        return 0
    return 1024 * sum(int(found) for found in pattern.findall(content))
