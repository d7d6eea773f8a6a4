"""Sound brought to one peak: by `convert --peak`, and by `predict` where a model learnt from it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from mertools.audio.convert import read_at_rates
from mertools.cli.app import app

WriteTone = Callable[..., Path]
MEL = ("--kind", "mel", "--set", "mel.reference=absolute", "--kind", "handcrafted", "--length", "2")


def here(*arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(app, [*arguments])
    assert done.exit_code == status, done.stderr
    return done


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def write_songs(folder: Path) -> None:
    """Write eight songs of two sorts, at 16,000 Hz and of many levels, and their labels."""
    rng = np.random.default_rng(0)
    lines = ["track_id,target,n_annotators,mean,std,mad,label,class,kept,p_1,p_2,split,scale"]
    (folder / "songs").mkdir()
    times = np.arange(5 * 16000) / 16000
    for k in range(8):
        y = np.sin(2 * np.pi * 220 * (1 + 3 * (k % 2)) * times) * (0.3 + 0.7 * (times % 1 > 0.5))
        y += 0.05 * rng.normal(size=len(times))
        soundfile.write(folder / "songs" / f"s{k}.wav", 0.8 / (k + 1) * y / np.abs(y).max(), 16000)
        lines.append(f"s{k},tone,,,,,{k % 2 + 1},{'ab'[k % 2]},true,{1 - k % 2},{k % 2},,unordered")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("db", [-0.1, -12.0, 0.0])
def test_the_largest_sample_is_at_the_level(folder: Path, write_tone: WriteTone, db: float) -> None:
    quiet, rate = soundfile.read(write_tone(folder / "tone.wav", 3.0, 44100))
    (folder / "songs").mkdir()
    soundfile.write("songs/quiet.wav", 0.01 * quiet, rate, "FLOAT")
    soundfile.write("songs/silent.wav", np.zeros(8000), 8000)
    table = here("convert", "songs", "-o", "w", "--sample-rate", "16000", "--peak", str(db)).stdout
    assert [float(row["peak"]) for row in rows(table)] == [db, db]
    y, _ = soundfile.read("w/quiet.wav", dtype="int16")
    assert np.abs(y.astype(int)).max() == pytest.approx(32768 * 10 ** (db / 20), abs=1)
    np.testing.assert_array_equal(read_at_rates(Path("songs/quiet.wav"), [16000], db)[0], y)
    silent, _ = soundfile.read("w/silent.wav")
    assert not silent.any()
    # It is what was written before where no peak is asked for, so that it is kept then.
    here("convert", "songs", "-o", "plain")
    with soundfile.SoundFile("plain/quiet.wav") as plain:
        assert "peak" not in plain.comment
    again = here("convert", "songs", "-o", "w", "--sample-rate", "16000", "--peak", str(db))
    assert again.stdout == table


def test_a_song_is_predicted_at_the_level_that_the_model_learnt_from(folder: Path) -> None:
    write_songs(folder)
    convert = ("convert", "songs", "-o", "w", "--sample-rate", "16000", "--peak", "-0.1")
    Path("t.csv").write_text(here(*convert).stdout)
    Path("s.csv").write_text(here("segment", "t.csv", "--length", "2").stdout)
    assert {row["peak"] for row in rows(Path("s.csv").read_text())} == {"-0.1"}
    here("featurize", "t.csv", *MEL, "-o", "f.h5")
    here("featurize", "s.csv", *MEL[:-2], "-o", "of-segments.h5")
    here("validate", "t.csv", "s.csv", "f.h5", "of-segments.h5")
    for name in ("f.h5", "of-segments.h5"):
        with h5py.File(name) as file:
            assert file.attrs["peak_db"] == -0.1
    data = ("--labels", "labels.csv", "--target", "tone", "--cv", "0")
    here("train", "forest", "--features", "f.h5", *data, "-o", "m.safetensors")
    here("validate", "m.safetensors")
    card = json.loads(here("inspect", "m.safetensors", "--json").stdout)
    assert card["audio"]["peak_db"] == -0.1

    def posteriors(*inputs: str) -> dict[tuple[str, str], str]:
        table = rows(here("predict", "-m", "m.safetensors", *inputs).stdout)
        return {(row["level"], row["segment_id"] or row["track_id"]): row["p_1"] for row in table}

    expected = posteriors("f.h5")
    assert len(set(expected.values())) > 1
    # From songs as they are, from what is at the level already, and from a manifest of either.
    assert posteriors("songs") == expected
    assert posteriors("t.csv") == expected
    assert posteriors("s.csv") == expected
    song, _ = soundfile.read("songs/s3.wav")
    soundfile.write("s3.wav", 0.1 * song, 16000, "FLOAT")
    of_quiet = posteriors("s3.wav")
    assert of_quiet == {key: value for key, value in expected.items() if "s3" in key[1]}


def test_levels_are_not_mixed(folder: Path) -> None:
    write_songs(folder)
    for name, peak in (("loud", ("--peak", "-0.1")), ("plain", ())):
        table = here("convert", "songs", "-o", name, "--sample-rate", "16000", *peak).stdout
        Path(f"{name}.csv").write_text(table)
        here("featurize", f"{name}.csv", *MEL, "-o", f"{name}.h5")
    header, *loud = Path("loud.csv").read_text().splitlines()
    _, *plain = Path("plain.csv").read_text().splitlines()
    Path("some.csv").write_text("\n".join([header, *loud[:4]]) + "\n")
    Path("mixed.csv").write_text(
        "\n".join([header, *loud[:4], *(f"{line}," for line in plain[4:])]) + "\n"
    )
    done = here("featurize", "mixed.csv", *MEL, "-o", "mixed.h5", status=3)
    assert done.stderr.count("convert all with one --peak") == 4
    both = ("--features", "loud.h5", "--copies", "plain.h5")
    data = ("--labels", "labels.csv", "--target", "tone", "--cv", "0", "-o", "m.safetensors")
    refused = here("train", "forest", *both, *data, status=2).stderr
    assert "plain.h5: is of sound as loud as it was, and loud.h5 of sound brought to" in refused
    vectors = "\n".join(["track_id,x", *(f"s{k},{k}" for k in range(8))])
    Path("vectors.csv").write_text(vectors + "\n")
    here("import", "features", "vectors.csv", "--kind", "clap", "-o", "clap.h5")
    of_both = ("--features", "loud.h5", "--features", "clap.h5", "--kind", "handcrafted")
    here("train", "forest", *of_both, "--kind", "clap", *data)
    here("featurize", "some.csv", *MEL, "-o", "some.h5")
    Path("others.csv").write_text("\n".join([header.removesuffix(",peak"), *plain[4:]]) + "\n")
    here("featurize", "others.csv", *MEL, "-o", "others.h5")
    refused = here("merge", "some.h5", "others.h5", "-o", "all.h5", status=2).stderr
    assert "others.h5: is of sound as loud as it was" in refused
