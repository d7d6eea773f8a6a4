"""The main job through the commands, on the project's own synthetic clips and on real music."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
import soxr

Mer = Callable[..., subprocess.CompletedProcess[str]]
WriteTone = Callable[..., Path]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
KINDS = ("--kind", "handcrafted", "--kind", "mel")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def run(*arguments: object, cwd: Path) -> str:
    command = [sys.executable, "-m", "mertools", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every artifact of the main job on the example clips."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / "tracks.csv").write_text(run("convert", EXAMPLES / "clips", "-o", "w", cwd=folder))
    run("segment", "tracks.csv", "--length", "4", "-o", "segments.csv", cwd=folder)
    run("featurize", "segments.csv", *KINDS, "-o", "features.h5", cwd=folder)
    ratings = EXAMPLES / "annotations.csv"
    labelling = ("--test-fraction", "0.25", "--seed", "1", "-o", "labels.csv")
    run("aggregate-labels", ratings, *labelling, cwd=folder)
    for target in ("arousal", "valence"):
        run(
            *("train", "svm", "--features", "features.h5", "--labels", "labels.csv"),
            *("--target", target, "--cv", "3", "-o", f"{target}.skops"),
            cwd=folder,
        )
    models = ("-m", "arousal.skops", "-m", "valence.skops")
    run("predict", *models, "features.h5", "-o", "predictions.csv", cwd=folder)
    run(
        *("evaluate", "predictions.csv", "--labels", "labels.csv", "--split", "test"),
        *("-o", "metrics.json"),
        cwd=folder,
    )
    return folder


def test_every_artifact_is_valid(chain: Path) -> None:
    files = [
        *chain.glob("*.csv"),
        *chain.glob("*.h5"),
        *chain.glob("*.skops"),
        *chain.glob("*.json"),
    ]
    assert len(files) == 8
    run("validate", *files, cwd=chain)


def test_streams_and_files_give_the_same_bytes(chain: Path, tmp_path: Path) -> None:
    shutil.copytree(chain / "w", tmp_path / "w")
    mer = f"{sys.executable} -m mertools"
    script = f"""set -euo pipefail
    find {EXAMPLES / "clips"} -type f -print0 | sort -z | {mer} convert -0 - -o w --jobs 1 \
        | {mer} segment - --length 4 | tee segments.csv \
        | {mer} featurize - {" ".join(KINDS)} -o features.h5 --jobs 3
    {mer} predict -m {chain}/arousal.skops -m {chain}/valence.skops features.h5 \
        | tee predictions.csv | {mer} evaluate - --labels {chain}/labels.csv -o metrics.json"""
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    for name in ("segments.csv", "features.h5", "predictions.csv"):
        assert (tmp_path / name).read_bytes() == (chain / name).read_bytes(), name


def test_readable_in_three_lines_of_h5py(chain: Path) -> None:
    with h5py.File(chain / "features.h5") as file:
        assert file["features/handcrafted"].shape[1:] == (136,)
        assert file["features/mel"].shape[1:] == (128, 51)
        assert file["features/mel"].dims[1].label == "band"
        params = json.loads(file["features/mel"].attrs["params"])
        assert params["n_fft"] == 400
        assert file["segments/track_id"].asstr()[0] == "piece01"


def test_a_song_predicted_alone_gets_what_its_features_get(chain: Path) -> None:
    clips = sorted((EXAMPLES / "clips").iterdir())
    models = ("-m", "arousal.skops", "-m", "valence.skops")
    alone = rows(run("predict", *models, *clips, cwd=chain))
    stored = rows((chain / "predictions.csv").read_text())
    assert len(alone) == len(stored)
    for one, other in zip(alone, stored, strict=True):
        assert [one[k] for k in ("level", "track_id", "segment_id", "target", "predicted")] == [
            other[k] for k in ("level", "track_id", "segment_id", "target", "predicted")
        ]
        for k in ("p_1", "p_2", "p_3", "value"):
            assert float(one[k]) == pytest.approx(float(other[k]), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cnn", "dual"])
def test_a_song_predicted_alone_by_a_network_gets_what_its_features_get(
    chain: Path, mer: Mer, tmp_path: Path, model: str
) -> None:
    files = [chain / "features.h5"]
    if model == "dual":
        mer("transcribe", EXAMPLES / "clips", "--length", "4", "-o", "notes.h5")
        files.append(tmp_path / "notes.h5")
    data = [word for file in files for word in ("--features", file)]
    short = ("--cv", "0", "--set", "max_epochs=1", "--device", "cpu")
    labels = ("--labels", chain / "labels.csv", "--target", "arousal")
    mer("train", model, *data, *labels, *short, "-o", "m.safetensors")
    predict = ("predict", "-m", "m.safetensors", "--device", "cpu")
    alone = rows(mer(*predict, *sorted((EXAMPLES / "clips").iterdir())).stdout)
    stored = rows(mer(*predict, *files).stdout)
    assert len(alone) == len(stored)
    for one, other in zip(alone, stored, strict=True):
        assert one["segment_id"] == other["segment_id"]
        for k in ("p_1", "p_2", "p_3", "value"):
            assert float(one[k]) == pytest.approx(float(other[k]), abs=1e-6)


def test_a_mixture_of_inputs_comes_in_order(chain: Path) -> None:
    (chain / "few.csv").write_text(f"track_id,path\nlate,{EXAMPLES}/clips/piece02.mp3\n")
    song = EXAMPLES / "clips" / "piece01.ogg"
    shutil.copy(song, chain / "early.ogg")
    answer = run("predict", "-m", "arousal.skops", "early.ogg", "features.h5", "few.csv", cwd=chain)
    tracks = list(dict.fromkeys(row["track_id"] for row in rows(answer)))
    assert tracks[0] == "early"
    assert tracks[-1] == "late"
    assert len(tracks) == 26


def test_forms_of_predictions(chain: Path) -> None:
    song = EXAMPLES / "clips" / "piece01.ogg"
    predict = ("predict", "-m", "arousal.skops", song, "--level", "track")
    (row,) = rows(run(*predict, cwd=chain))
    (content,) = json.loads(run(*predict, "--format", "json", cwd=chain))
    posteriors = content.pop("posteriors")
    assert max(posteriors, key=posteriors.get) == content["predicted"]
    assert {key: str(value) for key, value in content.items() if value is not None} == {
        key: value for key, value in row.items() if value
    }
    assert "piece01" in run(*predict, "--format", "table", cwd=chain)


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (["-m", "missing.skops", "features.h5"], 2, "missing.skops: cannot be read"),
        (["-m", "labels.csv", "features.h5"], 2, "labels.csv"),
        (["-m", "arousal.skops", "-m", "arousal.skops", "features.h5"], 2, "second model"),
        (["-m", "arousal.skops", "other.h5"], 2, "no handcrafted features that arousal.skops can"),
        (["-m", "arousal.skops", "half.h5"], 2, "cut off"),
        (["-m", "arousal.skops", "nothing.wav"], 4, "does not exist"),
        (["-m", "arousal.skops", "features.h5", "nothing.wav"], 3, "does not exist"),
        (["-m", "half.skops", "features.h5"], 2, "half.skops"),
    ],
)
def test_what_cannot_be_predicted(
    chain: Path, mer: Mer, tmp_path: Path, arguments: list[str], status: int, problem: str
) -> None:
    for path in chain.iterdir():
        (tmp_path / path.name).symlink_to(path)
    mer("featurize", "w/piece01.wav", "--set", "handcrafted.window_s=0.1", "-o", "other.h5")
    for name in ("features.h5", "arousal.skops"):
        content = (chain / name).read_bytes()
        (tmp_path / f"half{Path(name).suffix}").write_bytes(content[: len(content) // 2])
    done = mer("predict", *arguments, status=status)
    lines = [line for line in done.stderr.splitlines() if line.startswith("mer: ")]
    assert len(lines) == 1
    assert problem in lines[0]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--target", "dominance"], "holds no label for dominance"),
        (["--target", "arousal", "--kind", "note"], "holds no note features"),
        (["--target", "arousal", "--cv", "20"], "--cv 20"),
        (["--target", "arousal", "--grid", "depth=3"], "no parameter"),
        (["--target", "arousal", "--grid", "C=much"], "PARAM=VALUE"),
        (["--target", "arousal", "--labels", "missing.csv"], "missing.csv: cannot be read"),
    ],
)
def test_what_cannot_be_learnt(
    chain: Path, mer: Mer, tmp_path: Path, options: list[str], problem: str
) -> None:
    data = ["--features", chain / "features.h5", "--labels", chain / "labels.csv"]
    done = mer("train", "svm", *data, *options, "-o", "m.skops", status=2)
    assert problem in done.stderr
    assert not (tmp_path / "m.skops").exists()


def test_training_again_gives_the_same_bytes(chain: Path, mer: Mer, tmp_path: Path) -> None:
    data = ["--features", chain / "features.h5", "--labels", chain / "labels.csv"]
    train = ["train", "svm", *data, "--target", "arousal", "--cv", "3", "-o"]
    mer(*train, "one.skops", "--jobs", "1", "--predictions", "one.csv", PYTHONHASHSEED="1")
    mer(*train, "two.skops", "--jobs", "2", "--predictions", "two.csv", PYTHONHASHSEED="2")
    assert (tmp_path / "one.skops").read_bytes() == (chain / "arousal.skops").read_bytes()
    assert (tmp_path / "two.skops").read_bytes() == (chain / "arousal.skops").read_bytes()
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    mer("validate", "one.csv")


def test_out_of_fold_predictions_are_of_tracks_learnt_from(
    chain: Path, mer: Mer, tmp_path: Path
) -> None:
    data = ["--features", chain / "features.h5", "--labels", chain / "labels.csv"]
    train = ["train", "svm", *data, "--target", "arousal", "--cv", "3", "--unit", "segment"]
    mer(*train, "-o", "m.skops", "--predictions", "cv.csv")
    labels = rows((chain / "labels.csv").read_text())
    learnt = {
        row["track_id"]
        for row in labels
        if row["target"] == "arousal" and row["kept"] == "true" and row["split"] == "train"
    }
    made = rows((tmp_path / "cv.csv").read_text())
    assert {row["track_id"] for row in made if row["level"] == "track"} == learnt
    with h5py.File(chain / "features.h5") as file:
        tracks = file["segments/track_id"].asstr()[...]
        assert sum(row["level"] == "segment" for row in made) == np.isin(tracks, list(learnt)).sum()


def test_features_may_lie_in_several_files(chain: Path, mer: Mer, tmp_path: Path) -> None:
    lines = (chain / "segments.csv").read_text().splitlines(keepends=True)
    for name, some in (("a", lines[1:20]), ("b", lines[20:])):
        (tmp_path / f"{name}.csv").write_text(lines[0] + "".join(some))
        (tmp_path / "w").exists() or (tmp_path / "w").symlink_to(chain / "w")
        mer("featurize", f"{name}.csv", "-o", f"{name}.h5")
    shared = ["--labels", chain / "labels.csv", "--target", "arousal", "--cv", "3", "-o"]
    mer("train", "svm", "--features", "a.h5", "--features", "b.h5", *shared, "m.skops")
    assert (tmp_path / "m.skops").read_bytes() == (chain / "arousal.skops").read_bytes()
    twice = mer("train", "svm", "--features", "a.h5", "--features", "a.h5", *shared, "x", status=2)
    assert "again" in twice.stderr


def test_inspect_tells_what_every_artifact_holds(chain: Path) -> None:
    told = json.loads(run("inspect", "arousal.skops", "--json", cwd=chain))
    assert told["target"] == "arousal"
    assert told["classes"] == ["weak", "neutral", "strong"]
    assert told["audio"]["length_s"] == 4.0
    assert set(told["scores"]["levels"]["track"]) == {
        "macro_f1",
        "accuracy",
        "macro_precision",
        "macro_recall",
    }
    told = json.loads(run("inspect", "features.h5", "--json", cwd=chain))
    assert told["tracks"] == 24
    assert told["features"]["mel"]["shape"] == [128, 51]
    for name in ("tracks.csv", "segments.csv", "labels.csv", "predictions.csv", "metrics.json"):
        assert run("inspect", name, cwd=chain).startswith("artifact: ")


def test_validate_names_what_is_wrong(chain: Path, mer: Mer, tmp_path: Path) -> None:
    text = (chain / "predictions.csv").read_text().splitlines()
    cells = text[3].split(",")
    cells[7] = "1.5"
    (tmp_path / "p.csv").write_text("\n".join([*text[:3], ",".join(cells), *text[4:]]) + "\n")
    (tmp_path / "unknown.csv").write_text("a,b\n1,2\n")
    done = mer("validate", "p.csv", "unknown.csv", chain / "labels.csv", status=2)
    assert "p.csv: line 4 column p_1 is 1.5, above 1" in done.stdout
    assert "unknown.csv: is no artifact" in done.stdout
    assert "labels.csv: valid" in done.stderr


def test_what_was_made_before_is_kept_and_the_rest_made(
    mer: Mer, tmp_path: Path, write_tone: WriteTone
) -> None:
    for name in "abc":
        write_tone(tmp_path / f"{name}.wav", 21.0, hz=100.0 * (1 + ord(name) - ord("a")))
    mer("featurize", "a.wav", "b.wav", *KINDS, "-o", "f.h5")
    with h5py.File(tmp_path / "f.h5", "a") as file:
        file["features/handcrafted"][0] = 7.0  # a mark, to tell what is kept
        file["features/handcrafted"][2] = 8.0
    write_tone(tmp_path / "b.wav", 21.0, hz=400.0)
    mer("featurize", "c.wav", "b.wav", "a.wav", *KINDS, "-o", "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        ids = file["segments/segment_id"].asstr()[...].tolist()
        made = dict(zip(ids, file["features/handcrafted"][:, 0].tolist(), strict=True))
    assert ids == ["c_0000", "c_0001", "b_0000", "b_0001", "a_0000", "a_0001"]
    assert made["a_0000"] == 7.0
    assert made["b_0000"] != 8.0
    mer("featurize", "c.wav", "b.wav", "a.wav", *KINDS, "-o", "f.h5", "--force")
    mer("featurize", "c.wav", "b.wav", "a.wav", *KINDS, "-o", "anew.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "anew.h5").read_bytes()
    mer("featurize", "c.wav", "b.wav", "a.wav", *KINDS, "--set", "mel.n_mels=40", "-o", "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        assert file["features/mel"].shape == (6, 40, 51)


def test_engines_agree_through_the_command(chain: Path, mer: Mer, tmp_path: Path) -> None:
    (tmp_path / "w").symlink_to(chain / "w")
    mer("featurize", chain / "segments.csv", "--engine", "pyaudioanalysis", "-o", "reference.h5")
    with h5py.File(chain / "features.h5") as fast, h5py.File(tmp_path / "reference.h5") as slow:
        one, other = fast["features/handcrafted"], slow["features/handcrafted"]
        np.testing.assert_allclose(one[...], other[...], rtol=1e-6, atol=1e-6)
        assert one.attrs["params_digest"] == other.attrs["params_digest"]
        assert (one.attrs["engine"], other.attrs["engine"]) == ("fast", "pyaudioanalysis")


def test_rate_follows_the_manifest(mer: Mer, tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.wav", 11.0, 44100)
    tracks = mer("convert", "a.wav", "-o", "w", "--sample-rate", "16000").stdout
    segments = mer("segment", "-", stdin=tracks).stdout
    mer("featurize", "-", "-o", "f.h5", stdin=segments)
    mer("featurize", "-", "-o", "g.h5", "--sample-rate", "8000", stdin=segments)
    for name, rate in (("f.h5", 16000), ("g.h5", 8000)):
        with h5py.File(tmp_path / name) as file:
            params = json.loads(file["features/handcrafted"].attrs["params"])
            assert params["sample_rate"] == rate


def peak_memory_mib(arguments: list[str], folder: Path) -> float:
    """Peak of the largest process among a command and its workers."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "mertools", *arguments]
    answer = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return int(answer.stdout.split()[-1]) / scale


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_segments(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    header = "segment_id,track_id,path,start,duration,sample_rate\n"
    for i in range(10):
        write_tone(tmp_path / f"{i}.wav", 30.0, hz=100.0 + i)
    for n in (300, 3000):
        lines = [
            f"{i}_{j},{i},{i % 10}.wav,{10 * j},10,8000\n" for i in range(n // 3) for j in range(3)
        ]
        (tmp_path / f"{n}.csv").write_text(header + "".join(lines))
    few, many = (
        peak_memory_mib(["featurize", f"{n}.csv", *KINDS, "-o", f"{n}.h5"], tmp_path)
        for n in (300, 3000)
    )
    assert many < 1.2 * few


@pytest.mark.slow
def test_a_long_file_is_converted_in_flat_memory(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-9999, 9999, 22050 * 60, np.int16)
    for name, minutes in (("short", 2), ("long", 120)):
        with soundfile.SoundFile(tmp_path / f"{name}.flac", "w", 22050, 1) as output:
            for _ in range(minutes):
                output.write(noise)
    short, long = (
        peak_memory_mib(["convert", f"{name}.flac", "-o", "w"], tmp_path)
        for name in ("short", "long")
    )
    assert long < 1.1 * short
    assert soundfile.info(tmp_path / "w/long.wav").frames == 120 * 60 * 8000


@pytest.mark.slow
def test_a_20_minute_track_goes_through(mer: Mer, tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.flac", 1200.0, 16000)
    mer("featurize", "a.flac", *KINDS, "-o", "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        assert file["features/mel"].shape == (120, 128, 51)


@pytest.mark.corpus
def test_mel_of_real_music_equals_librosa_and_pillow(
    corpus: Path, mer: Mer, tmp_path: Path
) -> None:
    import librosa
    from PIL import Image

    mer("featurize", corpus / "audio/001.ogg", "--kind", "mel", "-o", "f.h5")
    y, sample_rate = soundfile.read(corpus / "audio/001.ogg", dtype="float32")
    y = np.rint(soxr.resample(y, sample_rate, 8000) * 32768).clip(-32768, 32767) / 32768
    with h5py.File(tmp_path / "f.h5") as file:
        for i, made in enumerate(file["features/mel"][...]):
            S = librosa.feature.melspectrogram(
                y=y[80000 * i : 80000 * (i + 1)], sr=8000, n_fft=400, hop_length=400, n_mels=128
            )
            image = Image.fromarray(librosa.power_to_db(S, ref=np.max).astype(np.float32))
            expected = image.resize((51, 128), Image.Resampling.BILINEAR)
            np.testing.assert_allclose(made, np.asarray(expected), rtol=0, atol=1e-4)


@pytest.mark.corpus
@pytest.mark.slow
def test_the_issue_of_the_main_job_on_real_music(corpus: Path, tmp_path: Path) -> None:
    mer = f"{sys.executable} -m mertools"
    script = f"""set -euo pipefail
    find {corpus}/audio -name '*[05].ogg' | sort | {mer} convert - -o w --sample-rate 8000 \
        | {mer} segment - | tee segments.csv | {mer} featurize - {" ".join(KINDS)} -o features.h5
    {mer} aggregate-labels {corpus}/annotations.csv --max-mad arousal=0.7 --test-fraction 0.2 \
        --seed 1 -o labels.csv
    {mer} train svm --features features.h5 --labels labels.csv --target arousal --cv 3 -o a.skops
    {mer} predict -m a.skops features.h5 | tee predictions.csv \
        | {mer} evaluate - --labels labels.csv --split test -o metrics.json
    {mer} predict -m a.skops {corpus}/originals/*.mp3 > songs.csv
    {mer} validate *.csv *.h5 *.skops *.json
    """
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    songs = [row for row in rows((tmp_path / "songs.csv").read_text()) if row["level"] == "track"]
    assert len(songs) == 12


@pytest.mark.corpus
@pytest.mark.slow
def test_five_folds_on_real_music_reach_what_the_corpus_lets_expect(
    corpus: Path, tmp_path: Path
) -> None:
    run("featurize", corpus / "tracks.csv", "-o", "features.h5", cwd=tmp_path)
    run("aggregate-labels", corpus / "annotations.csv", "-o", "labels.csv", cwd=tmp_path)
    data = ("--features", "features.h5", "--labels", "labels.csv", "--target", "arousal")
    run("train", "svm", *data, "-o", "m.skops", "--predictions", "cv.csv", cwd=tmp_path)
    run("evaluate", "cv.csv", "--labels", "labels.csv", "-o", "metrics.json", cwd=tmp_path)
    card = json.loads(run("inspect", "m.skops", "--json", cwd=tmp_path))
    scores = card["scores"]["levels"]["track"]["macro_f1"]
    assert scores["mean"] >= 0.50
    assert scores["majority"] < 0.20
    assert sum(card["training"]["tracks"].values()) == 300
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    track = metrics["targets"]["arousal"]["levels"]["track"]
    assert track["macro_f1"] == pytest.approx(scores["pooled"])


def test_a_figure_and_a_page_come_beside_the_rows(chain: Path, mer: Mer, tmp_path: Path) -> None:
    songs = sorted((EXAMPLES / "clips").iterdir())[:2]
    models = ("-m", chain / "arousal.skops", "-m", chain / "valence.skops")
    beside = ("--plot", "a.svg", "--html", "a.html")
    done = mer("predict", *models, *songs, "gone.wav", *beside, status=3)
    assert {row["track_id"] for row in rows(done.stdout)} == {"piece01", "piece02"}
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    shown = json.loads(data)
    assert [track["name"] for track in shown["tracks"]] == ["piece01", "piece02"]
    assert [(tmp_path / sound).resolve() for sound in shown["sounds"]] == songs
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
