"""Writes the files of this folder, by mertools as it was before numbers could be learnt (0.1).

git worktree add ../mertools-0.1 b348d49
PYTHONPATH=$PWD/../mertools-0.1 python tests/models/old/make_models.py ../mertools-0.1
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
DATA = ("--features", "features.h5", "--labels", "labels.csv", "--target", "arousal")


def mer(*arguments: str) -> str:
    command = [sys.executable, "-m", "mertools", *arguments]
    return subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout


def main(checkout: Path) -> None:
    sys.path.insert(0, str(checkout / "tests" / "training"))
    import made_segments

    made_segments.SHAPES.clear()
    made_segments.SHAPES.update(mel=(6, 2), note=(2, 6))
    made_segments.write_segments(HERE, kinds=("mel", "note"))
    mer("train", "svm", *DATA, "--kind", "note", "--cv", "3", "-o", "svm.skops")
    kinds = ("--kind", "mel", "--kind", "note", "--cv", "3")
    mer("train", "kernel", *DATA, *kinds, "-o", "kernel.safetensors")
    made_segments.write_segments(HERE / "two", kinds=("note",), classes=("calm", "wild"))
    two = ("--features", "two/features.h5", "--labels", "two/labels.csv", "--target", "arousal")
    mer("train", "svm", *two, "--kind", "note", "--cv", "3", "-o", "two/svm.skops")
    for model in ("svm.skops", "kernel.safetensors", "two/svm.skops"):
        path = HERE / model
        features = str(path.with_name("features.h5"))
        path.with_suffix(".csv").write_text(mer("predict", "-m", model, features))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
