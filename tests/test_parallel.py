"""Work spread over processes: in order, whole, and by forks only where these are safe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, threading
from mertools.runtime.parallel import map_ordered

here = "spawned"

def where(item):
    return here, item

if __name__ == "__main__":
    here = "forked"  # which only a copy of this process knows
    if "thread" in sys.argv:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if "torch" in sys.argv:
        import torch
    print(*map_ordered(where, iter(range(20)), 2), sep="\\n")
"""


@pytest.mark.parametrize("thing", ["nothing", "thread", "torch"])
def test_processes_are_forked_unless_a_thread_or_torch_is_there(thing: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "error", tmp_path / "script.py", thing],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = "forked" if thing == "nothing" and sys.platform == "linux" else "spawned"
    assert done.stdout.splitlines() == [str((expected, item)) for item in range(20)]
    assert not done.stderr
