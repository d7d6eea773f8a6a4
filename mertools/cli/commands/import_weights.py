"""`mer import weights`."""

from __future__ import annotations

from typing import Annotated

import typer


def import_weights(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK",
            help="The network: vggish, openl3, efficientat or skey for a kind of feature; "
            "choi-crnn, won-crnn or artist for a model.",
            show_default=False,
        ),
    ],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Its weights as published: torch's state (.pth, .pt; only tensors are read), "
            "Keras' HDF5 (.h5), .npz or .safetensors; several files add to each other.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Folder to write NETWORK.safetensors in, or a file of that ending.",
            show_default="the user's data folder, where mer finds it",
        ),
    ] = None,
) -> None:
    """Import the weights of a network, which do not come with mer.

    Kinds of feature that need them find them in the data folder, in the folder weights of a folder
    that MER_MODELS names, or by --weights of mer featurize. Models are for --init of mer train and
    for mer embed; mer inspect shows the features that they look at.

    \b
    Examples:
      mer import weights vggish vggish-10086976.pth vggish_pca_params-970ea276.pth
      mer import weights vggish vggish.npz -o weights
      mer import weights efficientat mn04_as_mAP_432.pt
      mer import weights skey skey.pt
      mer import weights choi-crnn music_tagger_crnn_weights_tensorflow.h5 -o choi.safetensors
    """
    from pathlib import Path

    from mertools.artifacts.files import make_folder
    from mertools.cli.shared.console import say
    from mertools.errors import UsageError
    from mertools.pretrained.publications import find_publication, read_published_weights
    from mertools.pretrained.user_weights import SUFFIX, data_folder, write_weights
    from mertools.training.published import PUBLISHED, import_model

    paths = tuple(map(Path, files))
    asked = data_folder() if output is None else Path(output)
    target = asked if asked.suffix == SUFFIX else asked / f"{network}{SUFFIX}"
    if network in PUBLISHED:
        if len(paths) > 1:
            raise UsageError(paths[1], f"is a second file of {network}", "give one")
        make_folder(target.parent)
        n_weights = import_model(PUBLISHED[network], paths[0], target)
    else:
        weights = read_published_weights(find_publication(network, PUBLISHED), paths)
        make_folder(target.parent)
        write_weights(target.parent, target.stem, weights)
        n_weights = sum(values.size for values in weights.values())
    say(f"{target}: {n_weights:,} weights")
