"""Colours on terminals: none is the dark blue that cannot be read on black."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mertools.prediction.installed import BUNDLED

SONG = Path(__file__).resolve().parents[2] / "examples" / "clips" / "piece02.mp3"


def shown(folder: Path, term: str, *arguments: object) -> str:
    """Give all that a terminal of this sort is sent by `mer`."""
    terminal, slave = pty.openpty()
    environment = os.environ | {"COLUMNS": "120", "TERM": term}
    for name in ("NO_COLOR", "COLORTERM"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "mertools", *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=folder, stdout=slave, stderr=slave, stdin=slave, env=environment
    ) as running:
        os.close(slave)
        content = bytearray()
        with suppress(OSError):  # on Linux, how a terminal ends that all have closed
            while part := os.read(terminal, 1 << 16):
                content += part
    os.close(terminal)
    assert running.returncode == 0, content
    return content.decode()


@pytest.mark.parametrize("term", ["xterm", "xterm-256color"])
def test_nothing_is_dark_blue(tmp_path: Path, term: str) -> None:
    model = tmp_path / "mine.safetensors"
    shutil.copy(BUNDLED / "emotify-arousal.safetensors", model)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n[x](http://x.org) `y`\n")
    for arguments in (
        ("predict", SONG),
        ("models",),
        ("inspect", model, "--card"),
    ):
        text = shown(tmp_path, term, *arguments)
        codes = {
            code
            for found in re.findall(r"\x1b\[([\d;]+)m", text)
            for code in re.sub(r"[34]8;5;\d+", "", found).split(";")
        }
        assert not {"34", "44"} & codes, text
        if arguments[0] != "models":  # which has no colours; the others prove that some are seen
            assert "38;5;" in text or codes & {"33", "36", "94"}
