"""What moved the prediction of a track, in the words that a page has for groups of features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mertools.artifacts.explanation_rows import BASELINE, REST, Explanation
from mertools.artifacts.rows import Prediction
from mertools.models.kernel_blocks import SEPARATOR
from mertools.targets.scale import Range

WORDS: Mapping[str, str] = {
    "musicnn": "timbre",
    "efficientat": "timbre",
    "vggish": "timbre",
    "openl3": "timbre",
    "mfcc": "timbre",
    "musicnn-change": "change of timbre",
    "tonal": "notes and harmony",
    "tonal.sustain": "how long notes are held",
    "key": "mode",
    "skey": "mode",
    "lyrics": "words",
    REST: "limits of the scale",
}
"""What kinds of feature, and blocks of their columns, tell of music."""


@dataclass(frozen=True)
class Why:
    """What moved the prediction of a track: from a baseline, by what groups of features add.

    Both are on the scale of `Rating.mean`, from -1 to 1, or are of the posterior of the predicted
    class where classes have no order.
    """

    baseline: float
    added: Mapping[str, float]


def say_part(part: str) -> str:
    """Say what a block of features tells of music; a kind that has no word keeps its name."""
    kind = part.partition(SEPARATOR)[0]
    return WORDS.get(part) or WORDS.get(kind) or part


def gather_whys(
    explanations: Iterable[Explanation], wholes: Mapping[str, Prediction]
) -> dict[str, Why]:
    """Gather by target what moved a track's predictions, blocks of one word together.

    wholes: the predictions of the whole track by target.
    """
    found: dict[str, dict[str, float]] = {}
    for row in explanations:
        if row.level == "track" and row.contribution is not None and row.target in wholes:
            words = found.setdefault(row.target, {})
            word = row.part if row.part == BASELINE else say_part(row.part)
            words[word] = words.get(word, 0.0) + row.contribution
    whys = {}
    for target, words in found.items():
        scale = wholes[target].parse_scale()
        middle, half = 0.0, 1.0
        if isinstance(scale, Range):
            middle, half = scale.middle, scale.high - scale.middle
        baseline = (words.pop(BASELINE) - middle) / half
        whys[target] = Why(baseline, {word: value / half for word, value in words.items()})
    return whys
