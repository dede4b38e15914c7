"""What this machine gives a process: its core, the time and memory that it used, and the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

__all__ = [
    "GENERATOR_CORE",
    "SERVER_CORE",
    "FsyncTime",
    "Generator",
    "cpu_s",
    "descendants",
    "fdatasync_time",
    "on_core",
    "rss_mb",
]

SERVER_CORE, GENERATOR_CORE = 0, 1
_BLOCK = 4096
_T = TypeVar("_T")


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Start processes on one core: what is started meanwhile stays there, threads included."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} if core in before else before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Generator:
    """A process of its own, on a core of its own, that runs functions one after the other."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        with on_core(GENERATOR_CORE):  # the process is started by the first call
            self._pool.submit(os.getpid).result()

    def __call__(self, function: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """Run a function there and give what it gives."""
        return self._pool.submit(function, *args, **kwargs).result()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._pool.shutdown()


def descendants(pid: int) -> list[int]:
    """Give a process and all that came of it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def cpu_s(pid: int) -> float:
    """Give the processor time of a process and its threads, user and system. Seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Give the memory of a process that is in RAM. Megabytes of 10^6 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class FsyncTime:
    """Time of an fdatasync after 4 KiB were appended.

    Attributes:
        took_ms: One per append.
    """

    def __init__(self) -> None:
        self.took_ms: list[float] = []

    def __str__(self) -> str:
        """Give the median and the 99th percentile."""
        median, p99 = np.quantile(self.took_ms, [0.5, 0.99])
        return f"{median:.2f} ms (p99 {p99:.2f} ms)"

    def measure(self, folder: Path, count: int) -> None:
        """Append and sync so many times in a folder."""
        path = folder / "fsync.bin"
        block = os.urandom(_BLOCK)
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            for _ in range(count):
                os.write(descriptor, block)
                began_s = time.perf_counter()
                os.fdatasync(descriptor)
                self.took_ms.append((time.perf_counter() - began_s) * 1e3)
        finally:
            os.close(descriptor)
            path.unlink()


def fdatasync_time(folder: Path, count: int = 300) -> FsyncTime:
    """Measure on the server's core how long the disk of a folder takes."""
    found = FsyncTime()
    with on_core(SERVER_CORE):
        found.measure(folder, count)
    return found
