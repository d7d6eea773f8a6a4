"""Tables where there is little room: no word or number is split, columns are left out and named."""

from __future__ import annotations

import io

import pytest

from mertools.cli.shared import console

COLUMNS = ("name", "chroma_mean", "value", "licence", "path")
ROWS = (
    (
        "a-long-name-of-a-song",
        "energy_std",
        "0.4981",
        "for research only, as its corpus",
        "a/b/c.wav",
    ),
    ("b", "zcr", "-12.25", "", "d.wav"),
)


@pytest.mark.parametrize("width", [200, 80, 60, 45, 30])
def test_no_word_is_split(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "WIDTH_OFF_TERMINAL", width)
    stream = io.StringIO()
    console.draw_table("", COLUMNS, ROWS, stream)
    text = stream.getvalue()
    table, _, left_out = text.partition("no room for: ")
    n_shown = len(COLUMNS) - len([name for name in left_out.strip().split(", ") if name])
    words = set(table.split())
    for cells in (COLUMNS, *ROWS):
        for cell in cells[:n_shown]:
            assert set(cell.split()) <= words
    assert max(map(len, table.splitlines())) <= width
    assert (n_shown == len(COLUMNS)) == (width >= 80)
    assert n_shown >= 1
