"""`mer augment`: what is done to the sound, measured; and its manifest."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from conftest import Mer
from mertools.audio.float_wav import read_comment, write_float_wav
from mertools.audio.transforms import BANDS, TRANSFORMS, Span

RATE = 16000
Sound = NDArray[np.float32]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def noise(seconds: float = 4.0, level: float = 0.1, seed: int = 0) -> Sound:
    shape = (round(seconds * RATE), 1)
    return (level * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def sine(hz: float, seconds: float = 4.0, level: float = 0.3) -> Sound:
    t = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hz * t))[:, None].astype(np.float32)


def rms(y: Sound) -> float:
    return float(np.sqrt(np.mean(np.square(y, dtype=np.float64))))


def apply(name: str, y: Sound, **values: float) -> Sound:
    made = TRANSFORMS[name].apply(y, RATE, values)
    assert made.shape == y.shape
    assert made.dtype == np.float32
    return made


def peak_hz(y: Sound) -> float:
    """The strongest frequency, by a parabola through the spectrum's peak in decibels."""
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(y[:, 0] * np.hanning(len(y)))) + 1e-12)
    k = int(spectrum.argmax())
    left, middle, right = spectrum[k - 1 : k + 2]
    return float((k + 0.5 * (left - right) / (left - 2 * middle + right)) * RATE / len(y))


def band_db(y: Sound, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(y[:, 0].astype(np.float64))) ** 2
    hz = np.fft.rfftfreq(len(y), 1 / RATE)
    return float(10 * np.log10(power[(hz >= low) & (hz < high)].sum()))


@pytest.mark.parametrize("semitones", [-2.0, -0.5, 0.7, 2.0])
def test_pitch_moves_by_the_semitones_asked_for(semitones: float) -> None:
    y = sine(440.0)
    shifted = apply("pitch-shift", y, semitones=semitones)
    cents = 1200 * np.log2(peak_hz(shifted[RATE:-RATE]) / peak_hz(y[RATE:-RATE]))
    assert cents == pytest.approx(100 * semitones, abs=3)


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.25, 1.5])
def test_tempo_changes_and_pitch_does_not(rate: float) -> None:
    y = sine(440.0)
    y *= 0.05
    click = round(1.0 * RATE)
    y[click : click + 400] += sine(2000.0, 400 / RATE, 1.0)
    stretched = apply("time-stretch", y, rate=rate)
    assert np.abs(stretched).argmax() / RATE == pytest.approx(1.0 / rate, abs=0.05)
    quiet = stretched[: round(0.4 * RATE)]
    assert 1200 * abs(np.log2(peak_hz(quiet) / 440)) < 10
    heard = round(4.0 * RATE / rate)
    if heard < len(y):  # filled up with silence
        assert not stretched[heard + 2048 :].any()


@pytest.mark.parametrize("seconds", [1.5, -1.5, 0.0, 9.0])
def test_a_shift_moves_sound_and_leaves_silence(seconds: float) -> None:
    y = noise()
    moved = apply("time-shift", y, seconds=seconds)
    shift = round(seconds * RATE)
    if abs(shift) >= len(y):
        assert not moved.any()
    elif shift >= 0:
        np.testing.assert_array_equal(moved[shift:], y[: len(y) - shift])
        assert not moved[:shift].any()
    else:
        np.testing.assert_array_equal(moved[:shift], y[-shift:])
        assert not moved[shift:].any()


@pytest.mark.parametrize("name", ["power", "gain"])
def test_levels_change_by_decibels_unclipped(name: str) -> None:
    louder = apply(name, sine(440, level=0.9), db=9.0)
    assert 20 * np.log10(rms(louder) / rms(sine(440, level=0.9))) == pytest.approx(9, abs=1e-4)
    assert np.abs(louder).max() > 1


def test_a_mask_silences_its_share_and_stops_its_band() -> None:
    y = noise(8.0)
    values = {"share": 0.25, "start": 0.0, "centre": 1000.0, "width": 1.0, "slope": 24.0}
    masked = apply("mask", y, **values)
    assert not masked[: len(y) // 4].any()
    inside, left, right = ((900.0, 1100.0), (50.0, 250.0), (4000.0, 7000.0))
    rest = len(y) // 4 + RATE
    change = [
        band_db(masked[rest:], *band) - band_db(y[rest:], *band) for band in (inside, left, right)
    ]
    assert change[0] < -35
    assert abs(change[1]) < 1
    assert abs(change[2]) < 1


def test_slopes_fall_by_decibels_an_octave() -> None:
    y = noise(8.0)
    shallow, steep = (
        apply("mask", y, share=0, start=0, centre=2000, width=0.8, slope=slope)
        for slope in (12, 24)
    )
    inside = (1500.0, 1700.0)
    assert band_db(steep, *inside) < band_db(shallow, *inside) - 6


def equaliser(**changed: float) -> dict[str, float]:
    flat = {f"hz_{n}": low for n, (_, low, _, _) in enumerate(BANDS, start=1)}
    flat |= {f"db_{n}": 0.0 for n in range(1, 8)} | {f"q_{n}": 1.0 for n in range(1, 8)}
    return flat | changed


def test_a_flat_equaliser_changes_nothing() -> None:
    y = noise()
    np.testing.assert_allclose(apply("equaliser", y, **equaliser()), y, atol=1e-6)


@pytest.mark.parametrize(
    ("number", "hz", "band"),
    [(1, 90.0, (5.0, 20.0)), (4, 700.0, (690.0, 710.0)), (7, 4500.0, (7300.0, 7900.0))],
)
@pytest.mark.parametrize("db", [-9.0, 6.0])
def test_bands_of_the_equaliser_rise_by_their_decibels(
    number: int, hz: float, band: tuple[float, float], db: float
) -> None:
    y = noise(16.0)
    q = 0.7 if number in (1, 7) else 2.0
    changed = {f"hz_{number}": hz, f"db_{number}": db, f"q_{number}": q}
    equalised = apply("equaliser", y, **equaliser(**changed))
    assert band_db(equalised, *band) - band_db(y, *band) == pytest.approx(db, abs=0.8)
    far = (4000.0, 7000.0) if number == 1 else (30.0, 60.0)
    assert band_db(equalised, *far) - band_db(y, *far) == pytest.approx(0, abs=0.3)


def test_distortion_bends_the_loud_and_keeps_the_level() -> None:
    y = sine(440.0)
    bent = apply("distortion", y, amount=0.7)
    assert rms(bent) == pytest.approx(rms(y), rel=1e-5)
    overtone = band_db(bent, 1300, 1340) - band_db(bent, 430, 450)
    assert overtone > -30  # the third harmonic of a symmetric curve
    threshold = np.percentile(np.abs(y), 100 - 99 * 0.7)
    np.testing.assert_allclose(
        bent / bent.max(), np.tanh(0.5 * y / threshold) / np.tanh(0.5 * y / threshold).max(),
        atol=1e-3,
    )  # fmt: skip
    assert not apply("distortion", np.zeros((100, 1), np.float32), amount=0.5).any()


def test_noise_lies_below_the_sound_by_its_snr(mer: Mer, tmp_path: Path) -> None:
    (tmp_path / "n").mkdir()
    soundfile.write(tmp_path / "n" / "a.wav", noise(0.7), RATE, "PCM_16")
    soundfile.write(tmp_path / "y.wav", sine(440.0), RATE, "PCM_16")
    augment = ("augment", "y.wav", "--with", "background-noise:snr=12", "-o", "c")
    copy = rows(mer(*augment, "--noise", "n").stdout)[1]
    y, made = (soundfile.read(tmp_path / path)[0] for path in ("y.wav", copy["path"]))
    added = made - y
    assert 20 * np.log10(rms(y) / rms(added)) == pytest.approx(12, abs=0.01)
    loop = round(0.7 * RATE)
    np.testing.assert_allclose(added[:loop], added[loop : 2 * loop], atol=1e-6)
    assert "needs sound to add" in mer(*augment, status=2).stderr
    gain = ("augment", "y.wav", "--with", "gain", "-o", "c", "--noise", "n")
    assert "is for background-noise" in mer(*gain, status=2).stderr


def test_spans_are_drawn_whole_and_even() -> None:
    rng = np.random.default_rng(0)
    drawn = {
        (name, key): np.array([span.draw(rng) for _ in range(400)])
        for name, transform in TRANSFORMS.items()
        for key, span in transform.spans.items()
    }
    for (name, key), values in drawn.items():
        span = TRANSFORMS[name].spans[key]
        assert values.min() >= span.low
        assert values.max() <= span.high + 1e-6
        if not (span.mel or span.step):
            width = span.high - span.low
            assert values.mean() == pytest.approx((span.low + span.high) / 2, abs=0.1 * width)
    assert set(drawn["mask", "slope"]) == {12, 18, 24}
    assert np.median(drawn["mask", "centre"]) < 1900  # even in mel: most lie low
    assert Span(3, 3).draw(rng) == 3


@pytest.fixture
def two(tmp_path: Path, write_tone: Callable[..., Path]) -> Path:
    for name, hz in (("a", 220.0), ("b", 330.0)):
        write_tone(tmp_path / f"{name}.wav", 1.0, RATE, hz=hz)
    return tmp_path


CHAIN = ("--with", "pitch-shift", "--with", "gain:db=-6..-3", "--with", "time-shift+power")


def test_the_manifest_names_originals_first(mer: Mer, two: Path) -> None:
    done = mer("augment", "a.wav", "b.wav", *CHAIN, "-o", "c")
    (two / "m.csv").write_text(done.stdout)
    mer("validate", "m.csv")
    found = rows(done.stdout)
    assert [row["track_id"] for row in found] == [
        "a", "b", "a~pitch-shift", "a~gain", "a~time-shift+power", "b~pitch-shift", "b~gain",
        "b~time-shift+power",
    ]  # fmt: skip
    assert [row["original"] for row in found] == ["", "", "a", "a", "a", "b", "b", "b"]
    assert found[2]["transform"].startswith("pitch-shift:semitones=")
    assert found[4]["transform"].count("+") == 1
    db = float(found[3]["transform"].removeprefix("gain:db="))
    assert -6 <= db <= -3
    y, made = (soundfile.read(two / found[k]["path"])[0] for k in (0, 3))
    np.testing.assert_allclose(made, y * 10 ** (db / 20), atol=1e-7)
    assert soundfile.info(two / found[3]["path"]).subtype == "FLOAT"
    # Copies that a manifest names are handed on, and no copies of copies are made.
    again = mer("augment", "m.csv", "--with", "gain", "-o", "d").stdout
    assert len(rows(again)) == 8 + 2


def test_the_same_bytes_at_any_number_of_jobs_and_beside_anything(mer: Mer, two: Path) -> None:
    first = mer("augment", "a.wav", "b.wav", *CHAIN, "-o", "c", "--jobs", "1").stdout
    made = {path.name: path.read_bytes() for path in (two / "c").iterdir()}
    again = mer("augment", "a.wav", "b.wav", *CHAIN, "-o", "d", "--jobs", "2").stdout
    assert again == first.replace("c/", "d/")
    assert {path.name: path.read_bytes() for path in (two / "d").iterdir()} == made
    mer("augment", "b.wav", "--with", "equaliser", *CHAIN[2:4], "-o", "e")
    assert (two / "e" / "b~gain.wav").read_bytes() == made["b~gain.wav"]
    mer("augment", "b.wav", *CHAIN, "-o", "f", "--seed", "1")
    assert (two / "f" / "b~gain.wav").read_bytes() != made["b~gain.wav"]


def test_copies_made_before_are_kept(mer: Mer, two: Path) -> None:
    mer("augment", "a.wav", *CHAIN, "-o", "c")
    kept = two / "c" / "a~gain.wav"
    before = kept.stat().st_mtime_ns
    mer("augment", "a.wav", *CHAIN, "-o", "c")
    assert kept.stat().st_mtime_ns == before
    content = kept.read_bytes()
    kept.write_bytes(content[:100])  # what is broken is made again
    mer("augment", "a.wav", *CHAIN, "-o", "c")
    assert kept.read_bytes() == content
    mer("augment", "a.wav", *CHAIN, "-o", "c", "--force")
    assert kept.read_bytes() == content


def test_segments_are_augmented_as_they_are_cut(mer: Mer, two: Path) -> None:
    (two / "s.csv").write_text(mer("segment", "a.wav", "b.wav", "--length", "0.5").stdout)
    done = mer("augment", "s.csv", "--with", "gain:db=6", "--copies", "2", "-o", "c")
    (two / "m.csv").write_text(done.stdout)
    mer("validate", "m.csv")
    found = rows(done.stdout)
    copies = [row for row in found if row["original"]]
    assert (len(found), len(copies)) == (4 + 8, 8)
    assert {row["track_id"] for row in copies} == {
        "a~gain", "a~gain~2", "b~gain", "b~gain~2",
    }  # fmt: skip
    second = next(row for row in copies if row["segment_id"] == f"{found[1]['segment_id']}~gain")
    y = soundfile.read(two / "a.wav")[0][RATE // 2 :]
    made = soundfile.read(two / second["path"])[0]
    np.testing.assert_allclose(made, y * 10 ** (6 / 20), atol=1e-6)
    mer("featurize", "m.csv", "--kind", "mel", "-o", "f.h5")
    mer("validate", "f.h5")


def test_what_fails_is_named_and_the_rest_goes_on(mer: Mer, two: Path) -> None:
    (two / "broken.wav").write_bytes(b"no sound")
    done = mer("augment", "a.wav", "broken.wav", "--with", "gain", "-o", "c", status=3)
    assert "broken.wav" in done.stderr
    assert "a~gain" in done.stdout


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("reverb", "has no transform 'reverb'"),
        ("gain:level=3", "level is no parameter"),
        ("gain:db=loud", "makes no sense"),
        ("time-stretch:rate=0", "makes no sense"),
        ("mask:share=2", "makes no sense"),
        ("gain:db=3..1", "makes no sense"),
        ("gain+", "has no transform ''"),
    ],
)
def test_what_makes_no_sense_is_refused(mer: Mer, two: Path, text: str, problem: str) -> None:
    assert problem in mer("augment", "a.wav", "--with", text, "-o", "c", status=2).stderr


def test_stereo_stays_stereo(mer: Mer, tmp_path: Path) -> None:
    y = np.concatenate([sine(440.0, 1.0), sine(660.0, 1.0)], axis=1)
    soundfile.write(tmp_path / "a.wav", y, RATE, "FLOAT")
    for name in TRANSFORMS:
        if name != "background-noise":
            mer("augment", "a.wav", "--with", name, "-o", "c")
            made, rate = soundfile.read(tmp_path / "c" / f"a~{name}.wav")
            assert (made.shape, rate) == (y.shape, RATE)


def test_float_wav_is_read_as_it_was_written(tmp_path: Path) -> None:
    y = np.random.default_rng(0).normal(size=(1001, 3)).astype(np.float32)
    write_float_wav(tmp_path / "a.wav", y, 44100, '{"x": 1}')
    made, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    np.testing.assert_array_equal(made, y)
    assert rate == 44100
    assert read_comment(tmp_path / "a.wav") == '{"x": 1}'
    assert read_comment(tmp_path / "none.wav") is None
