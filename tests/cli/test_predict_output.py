"""The forms of what `mer predict` writes: a row a track, sorted, JSON, by the ending of a name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mertools.artifacts.rows import Prediction
from mertools.cli.app import app
from mertools.cli.shared.predictions import open_predictions
from mertools.errors import UsageError
from mertools.runtime import parallel

CLIPS = Path(__file__).resolve().parents[2] / "examples" / "clips"
SONGS = [CLIPS / name for name in ("piece01.ogg", "piece02.mp3", "piece08.wav")]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in this process, with the bundled models."""
    monkeypatch.setattr(parallel, "available_cores", lambda: 1)
    monkeypatch.delenv("MER_MODELS", raising=False)
    yield


def mer(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)], prog_name="mer")
    assert done.exit_code == status, done.stderr
    return done.stderr if status else done.stdout


def records(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_wide_rows_say_of_a_track_what_its_long_rows_say() -> None:
    wide = records(mer("predict", *SONGS, "--wide"))
    long = records(mer("predict", *SONGS, "--level", "track"))
    assert [row["path"] for row in wide] == list(map(str, SONGS))
    assert {row["path"] for row in long} == set(map(str, SONGS))
    for row in long:
        (same,) = (other for other in wide if other["track_id"] == row["track_id"])
        assert same[row["target"]] == row["predicted"]
        mean = float(same[f"{row['target']}_mean"])
        assert mean == pytest.approx(float(row["value"]) - 2, abs=1e-6)
    assert list(wide[0])[-4:] == ["quadrant", "quadrant_probability", "word", "unlike"]


@pytest.mark.parametrize(
    ("column", "key"),
    [
        ("valence", lambda row: float(row["valence_mean"])),
        ("-arousal_mean", lambda row: -float(row["arousal_mean"])),
        ("-track_id", lambda row: -SONGS.index(Path(row["path"]))),
    ],
)
def test_tracks_are_sorted_by_a_column_of_the_wide_rows(column: str, key: Any) -> None:
    wide = records(mer("predict", *SONGS, "--wide", "--sort", column))
    assert [key(row) for row in wide] == sorted(key(row) for row in wide)
    long = records(mer("predict", *SONGS, "--sort", column))
    order = list(dict.fromkeys(row["track_id"] for row in long))
    assert order == [row["track_id"] for row in wide]
    assert [row["level"] for row in long[:4]].count("track") == 2


def test_what_cannot_be_sorted_is_named() -> None:
    assert "choose from track_id, path, arousal" in mer(
        "predict", SONGS[0], "--sort", "tempo", status=2
    )
    for options in (("--wide",), ("--sort", "track_id")):
        problem = mer("predict", SONGS[0], "--level", "segment", *options, status=2)
        assert "needs rows of tracks" in problem


def test_the_ending_of_the_output_decides_the_form(tmp_path: Path) -> None:
    for name in ("p.json", "p.jsonl", "p.csv", "p", "w.json", "w.jsonl", "w.csv"):
        wide = ["--wide"] if name.startswith("w") else []
        mer("predict", SONGS[2], *wide, "--level", "track", "-o", tmp_path / name)
    array = json.loads((tmp_path / "p.json").read_text())
    lines = (tmp_path / "p.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == array
    assert (tmp_path / "p").read_bytes() == (tmp_path / "p.csv").read_bytes()
    assert array[0]["posteriors"] == {
        "weak": array[0]["p_1"],
        "neutral": array[0]["p_2"],
        "strong": array[0]["p_3"],
    }
    (wide,) = json.loads((tmp_path / "w.json").read_text())
    assert json.loads((tmp_path / "w.jsonl").read_text()) == wide
    (row,) = records((tmp_path / "w.csv").read_text())
    assert float(row["valence_mean"]) == wide["valence_mean"]
    mer("predict", SONGS[2], "--format", "csv", "--level", "track", "-o", tmp_path / "p.json")
    assert (tmp_path / "p.json").read_bytes() == (tmp_path / "p.csv").read_bytes()
    mer("validate", tmp_path / "p.csv")


def test_targets_of_any_scale_are_written_and_those_without_a_value_come_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def rows(track: str, value: float, genre: str) -> list[Prediction]:
        number = Prediction("track", track, None, None, None, "joy", value=value, scale="1..9")
        p = (0.7, 0.3) if genre == "pop" else (0.3, 0.7)
        named = ("genre", "pop|rock", p, genre)
        return [number, Prediction("track", track, None, None, None, *named, scale="unordered")]

    tracks = [rows("a", 3.0, "rock"), rows("b", 7.5, "pop"), rows("c", 2.0, "rock")]
    with open_predictions("-", "csv", 2, wide=True, sort="-joy") as write:
        for track in tracks:
            write(track, None)
    assert capsys.readouterr().out == (
        "track_id,path,joy,genre,unlike\nb,,7.5,pop,\na,,3.0,rock,\nc,,2.0,rock,\n"
    )
    with open_predictions("-", "jsonl", 2, sort="genre") as write:
        for track in tracks:
            write(track, None)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["track_id"] for row in found] == ["b", "b", "a", "a", "c", "c"]
    assert "posteriors" not in found[0]
    assert found[1]["posteriors"] == {"pop": 0.7, "rock": 0.3}
    with open_predictions("-", "csv", 2, wide=True, sort="unlike") as write:
        for track in tracks:
            write(track, None)
    assert [line[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["a", "b", "c"]
    with (
        pytest.raises(UsageError, match="choose from track_id, path, joy, genre"),
        open_predictions("-", "csv", 2, sort="fear") as write,
    ):
        write(tracks[0], None)
