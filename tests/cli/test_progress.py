"""Where a progress bar is drawn: on a terminal that nobody else writes to."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

SLOW_ROWS = """
import time
from mertools.cli.shared.console import follow_long_work, track_progress
for draw in (track_progress, lambda *a: follow_long_work(*a, lambda: "busy")):
    for row in draw(range(6), "count", 6):
        print(f"row {row}", flush=True)
        time.sleep(0.25)
"""


def seen(stdout: int | IO[bytes]) -> bytes:
    """Give what a terminal sees on standard error."""
    terminal, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_ROWS],
        stdout=stdout,
        stderr=slave,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(slave)
    process.communicate(timeout=30)
    assert process.returncode == 0
    found = b""
    while True:
        try:
            more = os.read(terminal, 65536)
        except OSError:  # on Linux, how a terminal ends that all have closed
            break
        if not more:
            break
        found += more
    os.close(terminal)
    return found


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_bar_is_drawn_unless_a_pipe_may_print_between(tmp_path: Path) -> None:
    assert seen(subprocess.PIPE) == b""
    with (tmp_path / "rows.csv").open("wb") as file:
        drawn = seen(file)
    assert b"count" in drawn
    assert b"busy" in drawn
