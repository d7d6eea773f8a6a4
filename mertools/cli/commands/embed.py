"""`mer embed`."""

from __future__ import annotations

from typing import Annotated

import typer

from mertools.cli.shared import options


def embed(
    features: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files of features.", show_default=False),
    ],
    model: Annotated[str, typer.Option("--model", "-m", metavar="FILE", help="A trained network.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="HDF5 file to write.")
    ],
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="What the kind of feature is called.")
    ] = "embedding",
    layer: Annotated[
        str,
        typer.Option(
            metavar="last|BRANCH[.LAYER]",
            help="The last hidden layer, or the output of a branch or of a layer within it.",
        ),
    ] = "last",
    device: options.Device = "auto",
) -> None:
    """Make a network's last hidden layer a kind of feature.

    Other architectures can learn from it as from any vectors. Learn from tracks that the network
    did not learn from, or what it knows of their labels counts as a feature.

    \b
    Examples:
      mer embed -m arousal.safetensors features.h5 -o embedding.h5
      mer embed -m arousal.safetensors features.h5 --layer spectrogram --as look -o look.h5
    """
    from pathlib import Path

    from mertools.cli.shared.console import count, say
    from mertools.prediction.embed import embed_features
    from mertools.prediction.installed import find_model
    from mertools.prediction.predictor import load_predictor

    predictor = load_predictor(find_model(model), device)
    n = embed_features(Path(output), [Path(file) for file in features], predictor, name, layer)
    say(f"{output}: {name} of {count(n, 'segment')}")
