"""How this process keeps memory."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's `mallopt`, from its malloc.h."""
LARGE_BYTES = 1 << 24
"""Blocks beyond this are given back, as what grows with hours of music would leave holes behind."""


def keep_freed_memory() -> None:
    """Let the C library keep large blocks of memory that are freed, for the next that is asked for.

    Otherwise the system takes them back, and clears them anew each time: up to half of the time of
    short work on arrays of some 100 kB. Other libraries than glibc have no such setting.
    """
    if hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, LARGE_BYTES)
