"""Copies of tracks as a loop over audiomentations makes them: `augment.py TRACK...`.

Writes a float WAV a track and transform into the current folder, drawn from the ranges of
`mer augment`. The pitch is shifted by librosa's phase vocoder on both sides.
"""

from __future__ import annotations

import sys
from pathlib import Path

import audiomentations as am
import soundfile

TRANSFORMS = {
    "pitch-shift": am.PitchShift(-2, 2, method="librosa_phase_vocoder", p=1),
    "gain": am.Gain(-12, 12, p=1),
    "equaliser": am.SevenBandParametricEQ(p=1),
    "distortion": am.TanhDistortion(p=1),
}


def main() -> None:
    for name in sys.argv[1:]:
        y, sample_rate = soundfile.read(name, dtype="float32")
        for transform, apply in TRANSFORMS.items():
            copy = apply(samples=y.T, sample_rate=sample_rate)
            soundfile.write(f"{Path(name).stem}~{transform}.wav", copy.T, sample_rate, "FLOAT")


if __name__ == "__main__":
    main()
