from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_outcomes import NAMES, label, save
from matplotlib.image import imread
from scipy import stats
from typer.testing import CliRunner

from mertools.artifacts.feature_rows import FeatureRow, KindDescription
from mertools.artifacts.features_file import write_features
from mertools.artifacts.rows import Label, Ranking
from mertools.artifacts.tables import read_table, write_table
from mertools.cli.app import app
from mertools.evaluation.ranking import relieff

COLUMNS = ("constant", "noise", "loudness", "tiny", "split")
N_TRACKS, N_SEGMENTS = 60, 3


def run(*arguments: object, status: int = 0) -> Any:
    result = CliRunner().invoke(app, ["rank-features", *map(str, arguments)])
    assert result.exit_code == status, (result.stderr, result.exception)
    return result


def kind(name: str, columns: Sequence[str], *frames: int) -> KindDescription:
    return KindDescription(
        name=name,
        shape=(len(columns), *frames),
        dtype="float32",
        dimensions=("feature", "frame")[: 1 + len(frames)],
        columns=tuple(columns),
        unit="",
        params={},
        params_digest=name,
        engine="made",
    )


def write(
    path: Path, kinds: Sequence[KindDescription], X: Any, order: Sequence[int] | None = None
) -> str:
    """Write features X, (n_tracks, n_segments, ...), the same for each kind."""
    places = list(np.ndindex(X.shape[:2]))
    places = [places[i] for i in order] if order is not None else places
    rows = [
        FeatureRow(f"t{t:02}_{s}", f"t{t:02}", 10.0 * s, 10.0 if s < 2 else 5.0, False, False, "")
        for t, s in places
    ]
    write_features(path, rows, kinds, lambda _, row: X[places[row]])
    return str(path)


@dataclasses.dataclass(frozen=True)
class Made:
    """Features and labels of 60 tracks, a third of them for testing, some not kept."""

    features: str
    labels: str
    y: Any
    X: Any
    tested: Any
    kept: Any


@pytest.fixture
def made(tmp_path: Path) -> Made:
    generator = np.random.default_rng(0)
    y = generator.integers(3, size=N_TRACKS)
    X = generator.normal(size=(N_TRACKS, N_SEGMENTS, len(COLUMNS)))
    X[:, :, 0] = 0.1
    X[:, :, 2] += 2 * y[:, np.newaxis]
    X[:, :, 3] = 1e-12 * (X[:, :, 3] + 0.3 * y[:, np.newaxis])
    X[:, :, 4] = y[:, np.newaxis]
    X = X.astype(np.float32)
    tested, kept = np.arange(N_TRACKS) % 3 == 0, np.arange(N_TRACKS) % 10 != 9
    labels = [
        label(f"t{t:02}", int(y[t]) + 1, split="test" if tested[t] else "train", kept=bool(kept[t]))
        for t in range(N_TRACKS)
    ]
    return Made(
        write(tmp_path / "f.h5", [kind("handcrafted", COLUMNS)], X),
        save(tmp_path / "l.csv", Label, labels),
        y,
        X,
        tested,
        kept,
    )


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def ranked(made: Made, *more: object) -> list[dict[str, str]]:
    return read(run(made.features, "--labels", made.labels, "--target", "arousal", *more).stdout)


@pytest.mark.parametrize("split", ["train", "all"])
def test_ranking_is_of_scipys_f_over_duration_weighted_means(made: Made, split: str) -> None:
    rows = ranked(made, "--split", split)
    used = made.kept & ~(made.tested & (split == "train"))
    means = np.average(made.X.astype(float), axis=1, weights=[10, 10, 5])[used]
    y = made.y[used]
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert {row["feature"] for row in rows[:2]} == {"split", "loudness"}
    assert rows[-1]["feature"] == "constant"
    for row in rows:
        values = means[:, COLUMNS.index(row["feature"])]
        groups = [values[y == k] for k in range(3)]
        assert row["classes"] == "|".join(NAMES)
        assert (row["target"], row["kind"]) == ("arousal", "handcrafted")
        assert [float(row[f"mean_{k}"]) for k in (1, 2, 3)] == pytest.approx(
            [group.mean() for group in groups], rel=1e-6
        )
        if row["feature"] in ("constant", "split"):
            continue
        expected = stats.f_oneway(*groups)
        assert float(row["f"]) == pytest.approx(expected.statistic, rel=1e-5)
        assert float(row["p"]) == pytest.approx(expected.pvalue, rel=1e-4)
    by_feature = {row["feature"]: row for row in rows}
    assert (by_feature["constant"]["f"], by_feature["constant"]["p"]) == ("", "")
    assert (by_feature["split"]["f"], by_feature["split"]["p"]) == ("", "0.0")
    assert by_feature["split"]["rank"] == "1"
    assert 0 < float(by_feature["loudness"]["p"]) < 1e-9


def test_top_is_the_first_of_all(made: Made) -> None:
    assert ranked(made, "--top", 2) == ranked(made, "--top", 0)[:2]
    assert len(ranked(made, "--top", 0)) == len(COLUMNS)


def test_what_is_compared_is_said(made: Made) -> None:
    arguments = (made.features, "--labels", made.labels, "--target", "arousal")
    said = run(*arguments).stderr
    n_used = int((made.kept & ~made.tested).sum())
    assert f"arousal: 5 features of {n_used} tracks: weak " in said
    assert run(*arguments, "--quiet").stderr == ""


def test_ranking_is_a_valid_artifact_whatever_the_order_of_segments(
    made: Made, tmp_path: Path
) -> None:
    table = tmp_path / "ranking.csv"
    ranked(made, "-o", table)
    checked = CliRunner().invoke(app, ["validate", str(table)])
    assert checked.exit_code == 0, checked.output
    order = np.random.default_rng(3).permutation(N_TRACKS * N_SEGMENTS).tolist()
    kinds = [kind("handcrafted", COLUMNS)]
    turned = dataclasses.replace(made, features=write(tmp_path / "turned.h5", kinds, made.X, order))
    ranked(turned, "-o", tmp_path / "turned.csv")
    assert (tmp_path / "turned.csv").read_bytes() == table.read_bytes()


def test_several_kinds_are_ranked_together(made: Made, tmp_path: Path) -> None:
    other = write(tmp_path / "other.h5", [kind("other", COLUMNS)], made.X[:, :, ::-1])
    arguments = (made.features, other, "--labels", made.labels, "--target", "arousal")
    rows = read(run(*arguments, "--kind", "handcrafted", "--kind", "other", "--top", "0").stdout)
    assert len(rows) == len({(row["kind"], row["feature"]) for row in rows}) == 10
    # The same values in another place have the same F; the first kind comes first.
    assert [row["kind"] for row in rows[:4]] == ["handcrafted", "other"] * 2
    assert rows[2]["f"] == rows[3]["f"]


def test_classes_without_tracks_are_left_out(made: Made, tmp_path: Path) -> None:
    labels = [label(f"t{t:02}", 1 + 2 * (t % 2)) for t in range(N_TRACKS)]
    fewer = dataclasses.replace(made, labels=save(tmp_path / "two.csv", Label, labels))
    row = ranked(fewer)[0]
    assert row["classes"] == "weak|strong"
    assert "mean_3" not in row


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_box_plots_are_drawn_and_the_same_every_time(
    made: Made, tmp_path: Path, ending: str
) -> None:
    paths = [tmp_path / f"{name}.{ending}" for name in ("a", "b")]
    for path in paths:
        ranked(made, "--plot", path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    if ending == "png":
        image = imread(paths[0])
        assert image.shape[1] > image.shape[0] > 300
        # Three classes in three colours that no grey is.
        colours = np.unique(image[:, :, :3].reshape(-1, 3).round(2), axis=0)
        assert len(colours[np.ptp(colours, axis=1) > 0.3]) >= 3


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--target", "tension"], "holds no label for tension"),
        (["--target", "arousal", "--kind", "mel"], "holds no mel features"),
        (["--target", "arousal", "--plot", "figure.pdf"], "neither .png nor .svg"),
        (["--target", "arousal", "--plot", "figure.png", "--top", "0"], "room for 60"),
    ],
)
def test_what_cannot_be_ranked_is_exit_2(made: Made, arguments: list[str], problem: str) -> None:
    result = run(made.features, "--labels", made.labels, *arguments, status=2)
    assert problem in result.stderr


def test_one_class_is_exit_2(made: Made, tmp_path: Path) -> None:
    labels = save(tmp_path / "one.csv", Label, [label(f"t{t:02}", 2) for t in range(9)])
    result = run(made.features, "--labels", labels, "--target", "arousal", status=2)
    assert "too little of arousal to compare: tracks with features: neutral 9" in result.stderr


def test_as_many_classes_as_tracks_are_exit_2(made: Made, tmp_path: Path) -> None:
    labels = save(tmp_path / "few.csv", Label, [label("t00", 1), label("t01", 2)])
    result = run(made.features, "--labels", labels, "--target", "arousal", status=2)
    assert "weak 1, neutral 1" in result.stderr


def test_labels_of_other_tracks_are_exit_2(made: Made, tmp_path: Path) -> None:
    labels = save(tmp_path / "x.csv", Label, [label("x", 1)])
    result = run(made.features, "--labels", labels, "--target", "arousal", status=2)
    assert "shares no track" in result.stderr


def test_pictures_are_refused(made: Made, tmp_path: Path) -> None:
    pictures = made.X[:, :, :, np.newaxis].repeat(4, axis=3)
    file = write(tmp_path / "mel.h5", [kind("mel", COLUMNS, 4)], pictures)
    result = run(*(file, "--labels", made.labels, "--target", "arousal", "--kind", "mel"), status=2)
    assert "holds mel as 5 x 4 numbers a segment" in result.stderr


def test_labels_without_a_column_are_exit_2(made: Made) -> None:
    path = Path(made.labels)
    path.write_text(path.read_text("utf-8").replace("kept", "left", 1), "utf-8")
    result = run(made.features, "--labels", path, "--target", "arousal", status=2)
    assert "has no column kept" in result.stderr


def test_relieff_ranks_by_weight(made: Made, tmp_path: Path) -> None:
    rows = ranked(made, "--method", "relieff", "--split", "all")
    means = np.average(made.X.astype(float), axis=1, weights=[10, 10, 5])[made.kept]
    expected = relieff(means.astype(np.float32).astype(float), made.y[made.kept])
    assert {row["feature"] for row in rows[:2]} == {"split", "loudness"}
    for row in rows:
        weight = expected[COLUMNS.index(row["feature"])]
        assert float(row["weight"]) == pytest.approx(weight, abs=1e-6)
        assert (row["f"], row["p"]) == ("", "")
    assert "weight" not in ranked(made)[0]
    table = tmp_path / "ranking.csv"
    ranked(made, "--method", "relieff", "-o", table, "--plot", tmp_path / "r.png")
    checked = CliRunner().invoke(app, ["validate", str(table)])
    assert checked.exit_code == 0, checked.output
    assert imread(tmp_path / "r.png").shape[1] > 300


def test_numbers_have_rows_without_classes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    X = generator.random((30, 2)).astype("float32")
    y = X[:, 1]
    tracks = [f"t{k:02}" for k in range(30)]
    rows = [FeatureRow(name, name, 0.0, 10.0, False, False, "") for name in tracks]
    description = kind("handcrafted", ["x", "y"])
    write_features(tmp_path / "f.h5", rows, [description], lambda _kind, k: X[k])
    labels = [
        Label(name, "valence", 5, float(v), None, None, None, None, True, scale="0..1")
        for name, v in zip(tracks, y, strict=True)
    ]
    with (tmp_path / "labels.csv").open("w") as stream:
        write_table(stream, Label, labels)
    for method in ("f", "relieff"):
        table = tmp_path / f"{method}.csv"
        options = ("--labels", tmp_path / "labels.csv", "--target", "valence", "-o", table)
        run(tmp_path / "f.h5", *options, "--method", method)
        first, _ = list(read_table(str(table), Ranking))
        assert (first.kind, first.feature, first.rank) == ("handcrafted", "y", 1)
        assert (first.classes, first.means) == (None, ())
        assert (first.weight is None) == (method == "f")
        plot = run(tmp_path / "f.h5", *options, "--plot", tmp_path / "x.png", status=2)
        assert "box plots are of classes" in plot.stderr
