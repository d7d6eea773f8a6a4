"""`mer import weights`."""

from __future__ import annotations

from typing import Annotated

import typer


def import_weights(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK", help="The network: vggish, efficientat, skey.", show_default=False
        ),
    ],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Its weights as published: torch's state (.pth, .pt; only tensors are read), "
            ".npz or .safetensors; several files add to each other.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder to write NETWORK.safetensors in.",
            show_default="the user's data folder, where mer finds it",
        ),
    ] = None,
) -> None:
    """Import the weights of a network, which do not come with mer.

    Kinds of feature that need them find them in the data folder, in the folder weights of a folder
    that MER_MODELS names, or by --weights of mer featurize.

    \b
    Examples:
      mer import weights vggish vggish-10086976.pth vggish_pca_params-970ea276.pth
      mer import weights vggish vggish.npz -o weights
      mer import weights efficientat mn04_as_mAP_432.pt
      mer import weights skey skey.pt
    """
    from pathlib import Path

    from mertools.artifacts.files import make_folder
    from mertools.cli.shared.console import say
    from mertools.pretrained.publications import find_publication, read_published_weights
    from mertools.pretrained.user_weights import data_folder, write_weights

    publication = find_publication(network)
    weights = read_published_weights(publication, tuple(map(Path, files)))
    folder = data_folder() if output is None else Path(output)
    make_folder(folder)
    target = write_weights(folder, network, weights)
    say(f"{target}: {sum(values.size for values in weights.values()):,} weights")
