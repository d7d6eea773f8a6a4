from __future__ import annotations

import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mertools.artifacts.rows import Track
from mertools.audio.convert import convert, read_at_rates, read_converted
from mertools.audio.io import BLOCK_FRAMES, to_int16
from mertools.audio.settings import ConvertSettings
from mertools.audio.truncation import find_truncation
from mertools.errors import InputError

WriteTone = Callable[..., Path]


def converted(path: Path, folder: Path, settings: ConvertSettings = ConvertSettings()) -> Track:  # noqa: B008
    return convert(Track(path.stem, str(path)), folder, settings, force=False).track


@pytest.mark.parametrize("sample_rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_resampling_is_soxrs_own_in_one_piece(
    tmp_path: Path, write_tone: WriteTone, sample_rate: int
) -> None:
    # Longer than a block, so that the seams between blocks are tried.
    path = write_tone(tmp_path / "a.wav", 2.5 * BLOCK_FRAMES / sample_rate, sample_rate)
    y, _ = soundfile.read(path, dtype="float32")
    expected = to_int16(soxr.resample(y, sample_rate, 8000) if sample_rate != 8000 else y)
    together = read_at_rates(path, [8000, 22050])
    for made, alone in zip(together, (expected, read_converted(path, 22050)), strict=True):
        np.testing.assert_array_equal(made, alone)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.opus"])
def test_file_and_memory_give_the_same_samples(
    tmp_path: Path, write_tone: WriteTone, name: str
) -> None:
    path = write_tone(tmp_path / name, 1.3, 48000)
    track = converted(path, tmp_path / "w")
    y, sample_rate = soundfile.read(track.path, dtype="int16")
    assert (sample_rate, track.sample_rate, track.channels, track.frames) == (
        8000,
        8000,
        1,
        len(y),
    )
    assert track.duration == pytest.approx(1.3, abs=0.1)
    np.testing.assert_array_equal(y, read_converted(path, 8000))


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_mixed_to_their_mean_or_kept(tmp_path: Path, channels: int) -> None:
    y = np.random.default_rng(1).uniform(-0.5, 0.5, (4000, channels)).astype(np.float32)
    path = tmp_path / "a.wav"
    soundfile.write(path, y, 8000, "FLOAT")
    np.testing.assert_array_equal(
        read_converted(path, 8000), to_int16(y @ np.full(channels, 1 / channels, np.float32))
    )
    track = converted(path, tmp_path / "kept", ConvertSettings(keep_channels=True))
    kept, _ = soundfile.read(track.path, dtype="int16")
    np.testing.assert_array_equal(kept, to_int16(y))


@given(hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-4, 4, width=32)))
def test_rounding_to_16_bit_never_wraps_and_errs_by_half_a_step(y: np.ndarray) -> None:
    rounded = to_int16(y).astype(np.float64)
    expected = np.clip(y.astype(np.float64) * 32768, -32768, 32767)
    assert np.abs(rounded - expected).max() <= 0.5 + 1e-2


def test_16_bit_at_the_same_rate_passes_unchanged(tmp_path: Path) -> None:
    y = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", y, 8000, "PCM_16")
    np.testing.assert_array_equal(read_converted(tmp_path / "a.wav", 8000), y)


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8", "ULAW"])
def test_every_depth_is_read(tmp_path: Path, write_tone: WriteTone, subtype: str) -> None:
    y, _ = soundfile.read(write_tone(tmp_path / "b.wav"), dtype="float32")
    soundfile.write(tmp_path / "a.wav", y, 8000, subtype)
    difference = read_converted(tmp_path / "a.wav", 8000) / 32768 - y
    assert np.abs(difference).max() < (0.05 if subtype in ("PCM_U8", "ULAW") else 1e-4)


def test_one_sample_becomes_one_sample(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), 44100)
    assert len(read_converted(tmp_path / "a.wav", 8000)) == 1


def test_a_converted_file_is_kept_until_its_source_or_settings_change(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    source = write_tone(tmp_path / "a.flac", 1.0, 16000)
    target = Path(converted(source, tmp_path / "w").path)
    first = target.stat().st_ino
    converted(source, tmp_path / "w")
    assert target.stat().st_ino == first
    write_tone(source, 1.0, 16000, hz=330.0)
    converted(source, tmp_path / "w")
    second = target.stat().st_ino
    assert second != first
    converted(source, tmp_path / "w", ConvertSettings(sample_rate=16000))
    assert target.stat().st_ino != second
    assert soundfile.info(target).samplerate == 16000


def test_a_file_is_never_converted_over_itself(tmp_path: Path, write_tone: WriteTone) -> None:
    source = write_tone(tmp_path / "a.wav", 1.0, 16000)
    before = source.read_bytes()
    with pytest.raises(InputError, match="its own conversion"):
        converted(source, tmp_path)
    assert source.read_bytes() == before


def test_a_track_id_cannot_lead_out_of_the_folder(tmp_path: Path, write_tone: WriteTone) -> None:
    source = write_tone(tmp_path / "a.wav")
    with pytest.raises(InputError, match="leads out of the folder"):
        convert(Track("../b", str(source)), tmp_path / "w", ConvertSettings(), force=False)


CUT = ["a.wav", "a.aiff", "a.flac", "a.ogg", "a.opus", "a.mp3"]


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_no_shorter_file(
    tmp_path: Path, write_tone: WriteTone, name: str, share: float
) -> None:
    path = write_tone(tmp_path / name, 5.0, 48000)
    assert len(read_converted(path, 8000)) >= 5 * 8000
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])
    with pytest.raises(InputError):
        read_converted(path, 8000)


def test_a_long_mp3_is_not_read_at_once(tmp_path: Path) -> None:
    frame = b"\xff\xfb\x90\x00".ljust(417, b"\0")  # MPEG 1 layer III, 128 kbit/s, 44.1 kHz
    whole, cut_off = tmp_path / "whole.mp3", tmp_path / "cut.mp3"
    whole.write_bytes(frame * 15_000)
    cut_off.write_bytes(whole.read_bytes()[:-1])
    with pytest.raises(InputError, match="is cut off"):
        find_truncation(cut_off, "MP3")
    tracemalloc.start()
    find_truncation(whole, "MP3")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < whole.stat().st_size / 2


def test_junk_behind_an_mp3_is_no_cut(tmp_path: Path, write_tone: WriteTone) -> None:
    path = write_tone(tmp_path / "a.mp3", 2.0, 44100)
    n_samples = len(read_converted(path, 8000))
    path.write_bytes(path.read_bytes() + b"TAG" + b"\0" * 125)
    assert len(read_converted(path, 8000)) == n_samples


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"hello, this is text\n" * 100, "audio|sound file"),
        (np.random.default_rng(0).bytes(100_000), "audio|sound file"),
    ],
)
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.ogg", "a.m4a"])
def test_what_is_no_audio_is_named_as_such(
    tmp_path: Path, content: bytes, problem: str, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=problem):
        read_converted(path, 8000)


def test_a_wrong_extension_does_not_matter(tmp_path: Path, write_tone: WriteTone) -> None:
    path = write_tone(tmp_path / "a.flac")
    expected = read_converted(path, 8000)
    wrong = path.rename(tmp_path / "a.mp3")
    np.testing.assert_array_equal(read_converted(wrong, 8000), expected)


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.1, np.nan, 0.2]), 8000, "FLOAT")
    with pytest.raises(InputError, match="not finite"):
        read_converted(tmp_path / "a.wav", 8000)


@pytest.mark.parametrize("suffix", ["m4a", "wma", "mkv"])
def test_ffmpeg_decodes_what_libsndfile_cannot(
    tmp_path: Path, write_tone: WriteTone, suffix: str, ffmpeg: str
) -> None:
    wav = write_tone(tmp_path / "a.wav", 3.0, 44100)
    path = tmp_path / f"a.{suffix}"
    subprocess.run([ffmpeg, "-v", "error", "-i", wav, path], check=True)
    y, expected = read_converted(path, 8000), read_converted(wav, 8000)
    assert len(y) == pytest.approx(len(expected), abs=0.2 * 8000)
    assert np.std(y) == pytest.approx(np.std(expected), rel=0.1)


def test_without_ffmpeg_the_remedy_names_it(
    tmp_path: Path, write_tone: WriteTone, ffmpeg: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav = write_tone(tmp_path / "a.wav", 1.0, 44100)
    subprocess.run([ffmpeg, "-v", "error", "-i", wav, tmp_path / "a.m4a"], check=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="install the ffmpeg program"):
        read_converted(tmp_path / "a.m4a", 8000)
