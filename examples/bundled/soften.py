"""Write all sound files of a folder anew, softer, as WAV: `soften.py FOLDER INTO --decibels 12`."""

from __future__ import annotations

import argparse
from pathlib import Path

import soundfile


def main() -> None:
    """Soften what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("into", type=Path)
    parser.add_argument("--decibels", type=float, required=True)
    options = parser.parse_args()
    options.into.mkdir(exist_ok=True)
    for path in sorted(options.folder.iterdir()):
        y, sample_rate = soundfile.read(path, dtype="float32")
        softer = y * 10 ** (-options.decibels / 20)
        soundfile.write(options.into / f"{path.stem}.wav", softer, sample_rate, subtype="PCM_16")


if __name__ == "__main__":
    main()
