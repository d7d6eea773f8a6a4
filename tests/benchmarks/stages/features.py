"""Handcrafted features and mel spectrograms."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pairs import (
    MER,
    PEERS,
    ColdPair,
    Cost,
    Faster,
    Lap,
    WarmPair,
    again_and_again,
    at_once,
    module,
    two_cores,
)
from benchmarks.setup import SEGMENT_S, Setup
from mertools.audio.convert import read_converted
from mertools.features.handcrafted import HandcraftedParams, handcrafted, handcrafted_reference
from mertools.features.mel import MelParams, mel, mel_filters
from mertools.features.mfcc import MfccParams, mfcc
from mertools.features.wave import WaveParams, wave
from mertools.runtime.memory import keep_freed_memory

SAMPLE_RATE = 8000
FULL_SCALE = np.float32(2**15)
HANDCRAFTED = HandcraftedParams(SAMPLE_RATE)
MEL = MelParams(SAMPLE_RATE, n_frames=0)  # as librosa's, not resized in time
MFCC = MfccParams()

# Clips as the networks of paper 001 look at them: 128 bands x 942 frames.
CLIP_RATE, CLIP_SAMPLES, MOST_CLIPS = 16000, 482_000, 20
CLIP_MEL = MelParams(CLIP_RATE, n_fft=2048, hop_length=512, n_frames=0, reference="absolute")

# Of handcrafted features: outputs of the mel filters, coefficients of them, pitch classes.
N_FILTERS, N_MFCC, N_CHROMA = 40, 13, 12


def _seconds(setup: Setup) -> float:
    return float(len(setup.segments(SAMPLE_RATE)) * SEGMENT_S)


def _minutes(setup: Setup) -> float:
    return _seconds(setup) / 60


def _handcrafted(setup: Setup, lap: Lap) -> None:
    segments = setup.segments(SAMPLE_RATE)
    keep_freed_memory()  # as all commands do
    again_and_again(lambda: [handcrafted(y, HANDCRAFTED) for y in segments], lap)


def _with_pyaudioanalysis(setup: Setup, lap: Lap) -> None:
    segments = setup.segments(SAMPLE_RATE)
    again_and_again(lambda: [handcrafted_reference(y, HANDCRAFTED) for y in segments], lap)


def _with_opensmile(setup: Setup, lap: Lap) -> None:
    import opensmile

    segments = [y / FULL_SCALE for y in setup.segments(SAMPLE_RATE)]
    smile = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors
    )
    again_and_again(lambda: [smile.process_signal(y, SAMPLE_RATE) for y in segments], lap)


def _handcrafted_cost(setup: Setup) -> Cost:
    n_frames = len(setup.segments(SAMPLE_RATE)) * SEGMENT_S * SAMPLE_RATE // HANDCRAFTED.step
    n_bins = HANDCRAFTED.window // 2
    products = n_bins * N_FILTERS + N_FILTERS * N_MFCC + n_bins * N_CHROMA
    return Cost((), n_frames, HANDCRAFTED.window, 2.0 * n_frames * products)


def _mel(setup: Setup, lap: Lap) -> None:
    segments = setup.segments(SAMPLE_RATE)
    keep_freed_memory()  # as all commands do
    again_and_again(lambda: [mel(y, MEL) for y in segments], lap)


def _with_librosa(setup: Setup, lap: Lap) -> None:
    import librosa

    segments = [y / FULL_SCALE for y in setup.segments(SAMPLE_RATE)]

    def work() -> None:
        for y in segments:
            S = librosa.feature.melspectrogram(
                y=y, sr=MEL.sample_rate, n_fft=MEL.n_fft, hop_length=MEL.hop_length
            )
            librosa.power_to_db(S, ref=np.max)

    again_and_again(work, lap)


def _mel_of_clips(setup: Setup, lap: Lap) -> None:
    clips = _clips(setup)
    keep_freed_memory()
    again_and_again(lambda: [mel(y, CLIP_MEL) for y in clips], lap)


def _mel_of_clips_with_librosa(setup: Setup, lap: Lap) -> None:
    import librosa

    clips = [y / FULL_SCALE for y in _clips(setup)]

    def work() -> None:
        for y in clips:
            librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=CLIP_RATE))

    again_and_again(work, lap)


def _wave(setup: Setup, lap: Lap) -> None:
    tracks, params = setup.tracks()[:MOST_CLIPS], WaveParams(CLIP_RATE)
    keep_freed_memory()
    again_and_again(lambda: [wave(read_converted(path, CLIP_RATE), params) for path in tracks], lap)


def _wave_with_librosa(setup: Setup, lap: Lap) -> None:
    import librosa

    tracks = setup.tracks()[:MOST_CLIPS]
    again_and_again(lambda: [librosa.load(path, sr=CLIP_RATE) for path in tracks], lap)


def _clips(setup: Setup) -> list[NDArray[np.int16]]:
    """Read tracks at 16 kHz, filled up or cut to 30.125 s: 942 frames."""
    clips = []
    for path in setup.tracks()[:MOST_CLIPS]:
        y = read_converted(path, CLIP_RATE)[:CLIP_SAMPLES]
        clips.append(np.pad(y, (0, CLIP_SAMPLES - len(y))))
    return clips


def _mel_cost(setup: Setup) -> Cost:
    frames_a_segment = 1 + SEGMENT_S * SAMPLE_RATE // MEL.hop_length
    n_frames = len(setup.segments(SAMPLE_RATE)) * frames_a_segment
    in_filters = np.count_nonzero(mel_filters(SAMPLE_RATE, MEL.n_fft, MEL.n_mels))
    return Cost((), n_frames, MEL.n_fft, 2.0 * n_frames * in_filters)


def _mel_from_the_shell(setup: Setup) -> list[list[str]]:
    options = ["--kind", "mel", "--set", "mel.n_frames=0", "--jobs", "1", "-o", "mel.h5"]
    return [[*MER, "featurize", str(setup.tracks()[0]), *options]]


def _mfcc(setup: Setup, lap: Lap) -> None:
    segments = setup.segments(MFCC.sample_rate)
    keep_freed_memory()  # as all commands do
    again_and_again(lambda: [mfcc(y, MFCC) for y in segments], lap)


def _mfcc_with_librosa(setup: Setup, lap: Lap) -> None:
    import librosa

    segments = [y / FULL_SCALE for y in setup.segments(MFCC.sample_rate)]

    def work() -> None:
        for y in segments:
            librosa.feature.mfcc(
                y=y,
                sr=MFCC.sample_rate,
                n_mfcc=MFCC.n_mfcc,
                n_fft=MFCC.n_fft,
                hop_length=MFCC.hop_length,
            )

    again_and_again(work, lap)


def _mfcc_from_the_shell(setup: Setup) -> list[list[str]]:
    options = ["--kind", "mfcc", "--jobs", "1", "-o", "mfcc.h5"]
    return [[*MER, "featurize", str(setup.tracks()[0]), *options]]


def _featurize(tracks: Sequence[Path], n_processes: int, output: str = "f.h5") -> list[str]:
    options = ["--kind", "handcrafted", "--kind", "mel", "--jobs", str(n_processes), "-o", output]
    return [*MER, "featurize", *map(str, tracks), *options]


def _from_the_shell(n_processes: int, setup: Setup) -> list[list[str]]:
    return [_featurize(setup.tracks(), n_processes)]


def _apart(setup: Setup) -> list[list[str]]:
    even, odd = setup.halves()
    return [at_once(_featurize(even, 1, "even.h5"), _featurize(odd, 1, "odd.h5"))]


def _librosa_from_the_shell(setup: Setup) -> list[list[str]]:
    return [[sys.executable, str(PEERS / "mel.py"), str(setup.tracks()[0]), "mel.npy"]]


def _mfcc_by_a_script(setup: Setup) -> list[list[str]]:
    return [[sys.executable, str(PEERS / "mfcc.py"), str(setup.tracks()[0]), "mfcc.npy"]]


warm = partial(WarmPair, one_core=True)

PAIRS = (
    warm(
        name="handcrafted",
        work="handcrafted features, one core, warm",
        against="pyAudioAnalysis",
        goal=Faster(20),
        unit="minute of audio",
        amount=_minutes,
        needs=(module("pyAudioAnalysis"),),
        ours=_handcrafted,
        theirs=_with_pyaudioanalysis,
        cost=_handcrafted_cost,
    ),
    warm(
        name="handcrafted-opensmile",
        work="handcrafted features, one core, warm",
        against="openSMILE's eGeMAPSv02 low-level descriptors",
        goal=Faster(1),
        unit="second of audio",
        amount=_seconds,
        needs=(module("opensmile"),),
        ours=_handcrafted,
        theirs=_with_opensmile,
    ),
    warm(
        name="mel",
        work="mel spectrogram, one core, warm",
        against="librosa's melspectrogram + power_to_db",
        goal=Faster(2),
        unit="minute of audio",
        amount=_minutes,
        needs=(module("librosa"),),
        ours=_mel,
        theirs=_with_librosa,
        cost=_mel_cost,
    ),
    warm(
        name="mel-clips",
        work="mel spectrograms 128 x 942, one core, warm",
        against="librosa's melspectrogram + power_to_db",
        goal=Faster(2),
        unit="clip",
        amount=lambda setup: min(MOST_CLIPS, len(setup.tracks())),
        needs=(module("librosa"),),
        ours=_mel_of_clips,
        theirs=_mel_of_clips_with_librosa,
    ),
    warm(
        name="wave",
        work="files to samples at 16 kHz, one core, warm",
        against="librosa.load",
        goal=Faster(2),
        unit="track",
        amount=lambda setup: min(MOST_CLIPS, len(setup.tracks())),
        needs=(module("librosa"),),
        ours=_wave,
        theirs=_wave_with_librosa,
    ),
    ColdPair(
        name="mel-shell",
        work="mel spectrogram of a file, one core, from the shell",
        against="a script with librosa",
        goal=Faster(5),
        unit="call",
        one_core=True,
        needs=(module("librosa"),),
        ours=_mel_from_the_shell,
        theirs=_librosa_from_the_shell,
        cost=lambda setup: Cost((setup.tracks()[0],)),
    ),
    warm(
        name="mfcc",
        work="mel-frequency cepstral coefficients, one core, warm",
        against="librosa's mfcc",
        goal=Faster(3),
        unit="minute of audio",
        amount=lambda setup: len(setup.segments(MFCC.sample_rate)) * SEGMENT_S / 60,
        needs=(module("librosa"),),
        ours=_mfcc,
        theirs=_mfcc_with_librosa,
    ),
    ColdPair(
        name="mfcc-shell",
        work="mel-frequency cepstral coefficients of a file, one core, from the shell",
        against="a script with librosa",
        goal=Faster(5),
        unit="call",
        one_core=True,
        needs=(module("librosa"),),
        ours=_mfcc_from_the_shell,
        theirs=_mfcc_by_a_script,
    ),
    ColdPair(
        name="featurize-jobs",
        work="tracks to handcrafted and mel, two processes",
        against="mer, one process",
        goal=Faster(1.8),
        unit="track",
        amount=lambda setup: len(setup.tracks()),
        needs=(two_cores,),
        ours=partial(_from_the_shell, 2),
        theirs=partial(_from_the_shell, 1),
    ),
    ColdPair(
        name="featurize-apart",
        work="tracks to handcrafted and mel, two processes",
        against="two mer at once, half of the tracks each",
        goal=Faster(0.9),
        unit="track",
        amount=lambda setup: len(setup.tracks()),
        needs=(two_cores,),
        ours=partial(_from_the_shell, 2),
        theirs=_apart,
    ),
)
