"""`mer predict` and `mer models` with the models that are at hand, over time, and from Python."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from typer.testing import CliRunner

import mertools
from mertools.artifacts.feature_rows import Features
from mertools.artifacts.journal import Journal
from mertools.artifacts.rows import Prediction, Track
from mertools.artifacts.tables import parse_table
from mertools.cli.app import app
from mertools.cli.shared.tables import open_table_output
from mertools.errors import InputError, UsageError
from mertools.prediction import installed
from mertools.prediction.predict import predict_audio
from mertools.prediction.predictor import Predictor, load_predictor
from mertools.prediction.stream import predict_resumably
from mertools.runtime import parallel

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLIPS = EXAMPLES / "clips"
SONG = CLIPS / "piece08.wav"

Rows = list[dict[str, str]]


def mer(*arguments: object, stdin: str = "", status: int = 0) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)], input=stdin, prog_name="mer")
    assert done.exit_code == status, done.stderr
    return done.stderr if status else done.stdout


def rows(text: str) -> Rows:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: of handcrafted features for two targets, and of images for a third."""
    folder = tmp_path_factory.mktemp("models")
    features, labels = folder / "features.h5", folder / "labels.csv"
    kinds = ("--kind", "handcrafted", "--kind", "mel", "--jobs", 1)
    mer("featurize", CLIPS, *kinds, "--length", 4, "-o", features)
    mer("aggregate-labels", EXAMPLES / "annotations.csv", "-o", labels)
    lines = labels.read_text().splitlines(keepends=True)
    images = [line.replace(",valence,", ",images,") for line in lines if ",valence," in line]
    labels.write_text("".join(lines + images))
    for target in ("arousal", "valence", "images"):
        kind = "mel" if target == "images" else "handcrafted"
        data = ("--features", features, "--kind", kind, "--labels", labels, "--target", target)
        search = ("--cv", 2, "--grid", "C=1", "--grid", "gamma=0.01", "--jobs", 1)
        mer("train", "svm", *data, *search, "-o", folder / f"{target}.skops")
    (folder / "other").mkdir()
    (folder / "images.skops").rename(folder / "other" / "images.skops")
    shutil.copy(folder / "valence.skops", folder / "other" / "arousal.skops")
    return folder


@pytest.fixture(autouse=True)
def alone(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in this process, with the models of the folder in place of those that come along."""
    monkeypatch.setattr(parallel, "available_cores", lambda: 1)
    monkeypatch.setattr(installed, "BUNDLED", models)
    monkeypatch.delenv("MER_MODELS", raising=False)


def test_models_at_hand_predict_where_none_is_named(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = mer("predict", "-m", models / "arousal.skops", "-m", models / "valence.skops", SONG)
    assert mer("predict", SONG) == named
    assert mer("predict", "-m", "arousal", "-m", "valence", SONG) == named
    # A user's own take their place: here one that is called arousal but predicts valence.
    monkeypatch.setenv("MER_MODELS", f"{models / 'other'}:{models / 'valence.skops'}")
    targets = [row["target"] for row in rows(mer("predict", SONG, "--level", "track"))]
    assert targets == ["valence", "images", "arousal"]
    (row,) = rows(mer("predict", "-m", "arousal", SONG, "--level", "track"))
    assert row["target"] == "valence"


def test_without_any_model_it_says_what_to_do(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is neither a file nor a model" in mer("predict", "-m", "joy", SONG, status=2)
    monkeypatch.setattr(installed, "BUNDLED", models / "nowhere")
    assert "name a folder of models in MER_MODELS" in mer("predict", SONG, status=2)
    monkeypatch.setenv("MER_MODELS", str(models / "nowhere"))
    assert "nowhere: does not exist" in mer("predict", SONG, status=2)
    assert mer("predict", "-m", models / "arousal.skops", SONG)  # needs none of these


def test_models_are_listed_with_what_they_are(models: Path, tmp_path: Path) -> None:
    listed = mer("models")
    assert [row["name"] for row in rows(listed)] == ["arousal", "valence"]
    (row,) = rows(mer("models", models / "other" / "images.skops"))
    assert (row["target"], row["model"], row["features"]) == ("images", "svm", "mel")
    assert row["classes"].count("|") == 2
    assert int(row["bytes"]) == (models / "other" / "images.skops").stat().st_size
    (tmp_path / "models.csv").write_text(listed)
    mer("validate", tmp_path / "models.csv")
    assert "arousal" in mer("models", "--format", "table")
    (tmp_path / "broken.skops").write_bytes((models / "arousal.skops").read_bytes()[:5000])
    shutil.copy(models / "arousal.skops", tmp_path)
    assert "broken.skops" in mer("models", tmp_path, status=3)
    assert mer("inspect", "arousal") == mer("inspect", models / "arousal.skops")


def test_windows_over_time_are_predicted_as_segments_cut_like_them(tmp_path: Path) -> None:
    cut = ("--hop", 0.5, "--over-time")
    found = mer("predict", SONG, "--length", 3, *cut)
    assert mer("predict", SONG, "--window", 3, *cut) == found  # as the option was called before
    mer("featurize", SONG, "--length", 3, "--hop", 0.5, "--last", "whole", "-o", tmp_path / "f.h5")
    expected = rows(mer("predict", tmp_path / "f.h5"))
    assert rows(found) == [row | {"path": str(SONG)} for row in expected]
    windows = [row for row in rows(found) if row["level"] == "segment"]
    starts = [float(row["start"]) for row in windows if row["target"] == "arousal"]
    assert starts[:3] == [0, 0.5, 1]
    assert len(starts) > 10
    by_default = rows(mer("predict", SONG, "--over-time", "--level", "segment"))
    assert {row["duration"] for row in by_default} == {"10.0"}
    table = mer("predict", SONG, "--length", 3, *cut, "--format", "table")
    assert "0:00.5" in table
    assert len(table.splitlines()) >= len(starts)


def test_windows_are_whole_and_tracks_have_their_own_length(tmp_path: Path) -> None:
    """60.04 s of sound is neither 61 s nor 65 s long, and silence after it is not scored."""
    y, sr = soundfile.read(SONG)
    n_samples = round(15.04 * sr)
    song, short = tmp_path / "song.wav", tmp_path / "short.wav"
    soundfile.write(song, np.tile(y, -(-n_samples // len(y)))[:n_samples], sr)
    soundfile.write(short, y[: round(2.5 * sr)], sr)
    by_level = {"segment": [], "track": []}
    for row in rows(mer("predict", song, "--over-time", "--length", 4, "-m", "arousal")):
        by_level[row["level"]].append((float(row["start"]), float(row["duration"])))
    assert by_level == {"segment": [(k, 4) for k in range(12)], "track": [(0, 15.04)]}
    (row,) = rows(mer("predict", song, "--level", "track", "-m", "arousal"))
    assert (row["start"], row["duration"]) == ("0.0", "15.04")
    window, track = rows(mer("predict", short, "--over-time", "-m", "arousal"))
    assert (window["duration"], track["duration"]) == ("10.0", "2.5")


def test_models_of_frames_choose_the_window(models: Path) -> None:
    image = models / "other" / "images.skops"
    found = rows(mer("predict", SONG, "--over-time", "-m", image, "-m", "arousal"))
    assert {row["duration"] for row in found if row["level"] == "segment"} == {"4.0"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((SONG, "--length", "5"), "--length: is for windows over time"),
        ((SONG, "--over-time", "--hop", "0"), "hop: 0.0 s is no length of time"),
        (("features.h5", "--over-time"), "holds segments that are cut already"),
        (
            (SONG, "--over-time", "--length", "10", "-m", "other/images.skops"),
            "mel features of 4 s, not of 10 s",
        ),
    ],
)
def test_what_cannot_be_predicted_over_time(
    models: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], problem: str
) -> None:
    monkeypatch.chdir(models)
    assert problem in mer("predict", *arguments, status=2)


def test_segments_are_no_tracks_to_predict_over_time(tmp_path: Path) -> None:
    manifest = mer("segment", SONG)
    assert "is a segment" in mer("predict", "-", "--over-time", stdin=manifest, status=2)
    options = ("--over-time", "--window", "4", "-m", "other/images.skops")
    assert "is neither" in mer("predict", SONG, *options[:-1], "images", status=2)


def test_a_journal_of_other_windows_is_not_taken_over(models: Path, tmp_path: Path) -> None:
    predictor = load_predictor(models / "arousal.skops")
    track = Track("song", str(SONG))

    def predict(hop_s: float) -> list[Prediction]:
        with Journal(tmp_path / "p.csv") as journal:
            windows = [predictor.over_time(4.0, hop_s)]
            (made,) = predict_resumably([track], windows, "segment", 1, journal)
            return made.rows

    sparse = predict(2.0)
    assert len(predict(1.0)) > len(sparse)
    assert predict(2.0) == sparse
    with Journal(tmp_path / "p.csv") as journal:
        assert len(list(journal.records())) == 2


@dataclass(frozen=True)
class Wary:
    """A model that tells how unlike the training music segments are: here, how late they come."""

    known: Any

    def predict(self, features: Sequence[Features]) -> NDArray[np.float64]:
        posteriors: NDArray[np.float64] = self.known.predict(features)
        return posteriors

    def unlike(self, features: Sequence[Features]) -> NDArray[np.float64]:
        return np.linspace(0.25, 1.0, len(features[0]))


def test_unlike_is_a_column_where_a_model_tells_it(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = load_predictor(models / "valence.skops")
    predictor = load_predictor(models / "arousal.skops")
    wary = replace(predictor, model=Wary(predictor.model))
    assert (plain.tells_unlike, wary.tells_unlike) == (False, True)

    def write(predictors: list[Predictor], form: Any) -> list[Prediction]:
        (made,) = predict_audio([Track("song", str(SONG))], predictors, "both", 1)
        optional = ["unlike"] if any(p.tells_unlike for p in predictors) else []
        with open_table_output("-", Prediction, 3, form, optional=optional) as write_row:
            for row in made.rows:
                write_row(row)
        return made.rows

    write([plain], "csv")
    assert capsys.readouterr().out.splitlines()[0].endswith(",predicted,value,scale")
    made = write([wary, plain], "csv")
    text = capsys.readouterr().out
    assert text.splitlines()[0].endswith(",predicted,value,unlike,scale")
    of_wary = [row.unlike for row in made if row.target == "arousal"]
    assert of_wary[0] == 0.25
    assert of_wary[-1] == pytest.approx(np.mean(of_wary[:-1]))
    assert {row.unlike for row in made if row.target == "valence"} == {None}
    read = list(parse_table(io.StringIO(text), Prediction, "p.csv"))
    assert [row.unlike for row in read] == pytest.approx([row.unlike for row in made])
    write([wary], "json")
    assert all("unlike" in row for row in json.loads(capsys.readouterr().out))


def test_python_gets_what_the_command_prints() -> None:
    answers = mertools.predict([SONG, CLIPS / "piece01.ogg"])
    of_tracks = rows(mer("predict", SONG, CLIPS / "piece01.ogg", "--level", "track"))
    assert [(answer.track_id, target) for answer in answers for target in answer.ratings] == [
        (row["track_id"], row["target"]) for row in of_tracks
    ]
    for answer, row in zip((a[t] for a in answers for t in a.ratings), of_tracks, strict=True):
        assert answer.posterior == pytest.approx([float(row[f"p_{k}"]) for k in (1, 2, 3)])
        assert (answer.predicted, answer.classes) == (row["predicted"], answer.classes)
        assert answer.mean == pytest.approx(float(row["value"]) - 2)
    assert answers[0].quadrant is not None
    assert answers[0].word
    assert not answers[0].windows
    (song,) = mertools.predict(SONG, over_time=True, window=4, hop=2, models=["arousal"])
    of_windows = rows(
        mer("predict", SONG, "-m", "arousal", "--over-time", "--window", 4, "--hop", 2)
    )
    assert [window.start for window in song.windows] == [
        float(row["start"]) for row in of_windows if row["level"] == "segment"
    ]
    assert song.word is None


def test_python_hears_an_array_as_it_hears_a_file(tmp_path: Path) -> None:
    (expected,) = mertools.predict(SONG)
    y, sample_rate = soundfile.read(SONG, dtype="int16")
    assert y.ndim == 1
    for array in (y, y / 32768, np.stack([y, y], axis=1), (y / 32768).astype(np.float32)):
        (answer,) = mertools.predict(array, sample_rate=sample_rate)
        assert answer["arousal"].posterior == pytest.approx(expected["arousal"].posterior, abs=1e-9)
    for wrong, rate in ((y, None), (y[None], 8000), (y.astype(int), 8000), (y[None, None], 8000)):
        with pytest.raises(UsageError):
            mertools.predict(wrong, sample_rate=rate)
    with pytest.raises(InputError, match="does not exist"):
        mertools.predict(tmp_path / "missing.wav")


def test_python_gives_a_frame_where_pandas_is(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = mertools.predict(SONG)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pandas", None)
        with pytest.raises(UsageError, match="pip install pandas"):
            answers.to_frame()
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = answers.to_frame()
    assert frame.loc[0, "arousal"] == answers[0]["arousal"].predicted
    assert frame.loc[0, "quadrant"] == answers[0].quadrant.name
    assert frame.loc[0, "path"] == str(SONG)
    assert repr(answers).startswith("[Emotion('piece08', arousal ")


def test_to_import_mertools_imports_nothing_more() -> None:
    program = "import mertools, sys; print([m for m in sys.modules if m.startswith('mertools.')])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['mertools.version']"
    with pytest.raises(AttributeError, match="no attribute 'guess'"):
        mertools.guess  # noqa: B018
