"""The help texts of `mer train NAME`, written from the rows of the registry."""

from __future__ import annotations

import textwrap

from mertools.models.registry import NOTES, Architecture, Parameter
from mertools.training.recipes import parameters_of

HELP = """{verb} a {summary}{description}.

Needs features of {kinds}. Learns from tracks that the labels keep and do not mark test{soft}.
{scoring}{search}

{heading}

\b
{parameters}

\b
Examples:
  mer train {name} {features} --labels labels.csv \\
      --target arousal -o arousal{suffix}
  mer train {name} {features} --labels labels.csv \\
      --target valence {example} \\
      {further}-o valence{suffix}
"""

OF_COPIES = "Augmented copies are learnt from with their original, and never scored. "

LINE_WIDTH, MEANING_COLUMN = 76, 32
"""Width of help on a terminal of 80 columns, and where the meanings of parameters begin."""

OF_ESTIMATORS = (
    "Parameters are chosen within each fold's training part, so that the scores are of folds which "
    "had no part in the choice."
)
OF_NETWORKS = (
    "Every point of a search is trained with each fold of whole tracks held out; the best, by the "
    "score of tracks, is then trained on all. An interrupted run goes on where it was when it is "
    "run again."
)

OF_INPUTS = (
    "It learns to give its own input back: the target only says which tracks to learn from, and "
    "nothing is predicted. An interrupted run goes on where it was when it is run again."
)

PAIRS_HELP = """Train a {summary}.

Learns which sound and lyrics belong together, from pairs of a track's sound with its own lyrics and
with another's. Sound is a kind of vectors, such as mer embed makes, or mel with --init
sound=MODEL. Needs {kinds} of tracks that the labels do not mark test; their validation part chooses
the epoch. With --group artist no mismatched pair is of one artist.

Parameters, for --set and --recipe:

\b
{parameters}

\b
Examples:
  mer train {name} --features sound.h5 --features lyrics.h5 --labels labels.csv \\
      -o siamese.safetensors
  mer train {name} --features features.h5 --features lyrics.h5 --labels labels.csv \\
      --kind mel --init sound=vgg.safetensors -o siamese.safetensors
"""


def train_help(architecture: Architecture) -> str:
    """Write the help text of the command that trains an architecture."""
    if not architecture.has_targets:
        return PAIRS_HELP.format(
            name=architecture.name,
            summary=architecture.summary,
            kinds=" and ".join(architecture.kinds),
            parameters="\n".join(_describe_parameter(of) for of in parameters_of(architecture)),
        )
    files = {"notes.h5" if kind in NOTES else "features.h5": None for kind in architecture.kinds}
    network = architecture.is_network
    first = parameters_of(architecture)[0].name
    also_soft = "soft" in architecture.objectives
    scored = architecture.predicts
    return HELP.format(
        verb="Train and cross-validate" if scored else "Train",
        scoring=OF_COPIES if scored else "",
        further=f"--predictions {architecture.name}.csv " if scored else "",
        name=architecture.name,
        summary=architecture.summary,
        description=f": {architecture.description}" if architecture.description else "",
        kinds=f"the kind{'s' * (len(architecture.kinds) > 1)} {', '.join(architecture.kinds)}",
        soft=", for the objective soft also from those that annotators disagree on"
        if also_soft
        else "",
        features=" ".join(f"--features {file}" for file in files),
        search=OF_INPUTS if not scored else OF_NETWORKS if network else OF_ESTIMATORS,
        heading="Parameters, for --set, --recipe and --grid:"
        if network
        else "Values that are tried for each parameter; --grid replaces them, --set fixes one:",
        parameters="\n".join(_describe_parameter(of) for of in parameters_of(architecture)),
        suffix=architecture.suffix,
        example="--search bayes --trials 3 --grid learning_rate=0.001,0.002"
        if network
        else f"--cv 3 --grid {first}=0.1,1",
    )


def _describe_parameter(parameter: Parameter) -> str:
    """Describe a parameter: name, usual value, meaning and choices, wrapped under each other."""
    usual = ", ".join(map(str, parameter.grid)) if parameter.grid else str(parameter.default)
    begin = f"  {parameter.name} = {usual}" + (" / columns" if parameter.per_column else "")
    meaning = parameter.meaning
    if parameter.choices:
        meaning += f": {', '.join(parameter.choices)}"
    lines = textwrap.wrap(meaning, LINE_WIDTH - MEANING_COLUMN)
    joined = f"\n{'':{MEANING_COLUMN}}".join(lines)
    return f"{begin:<{MEANING_COLUMN - 1}} {joined}"
