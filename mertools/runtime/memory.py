"""How this process keeps memory."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's `mallopt`, from its malloc.h."""
BLOCK_BYTES = 1 << 24
"""More than a segment's arrays take, less than a file of hours, which is better given back."""


def keep_freed_memory(block_bytes: int = BLOCK_BYTES) -> None:
    """Let the C library keep blocks of memory that are freed, up to a size, for what comes next.

    Otherwise the system takes them back, and clears them anew each time: up to half of the time of
    short work on arrays of some 100 kB. Other libraries than glibc have no such setting.
    """
    if hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, block_bytes)
        library.mallopt(M_TRIM_THRESHOLD, block_bytes)
