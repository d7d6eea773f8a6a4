"""`mer models fetch`."""

from __future__ import annotations

from typing import Annotated

import typer

from mertools.cli.shared import options


def models_fetch(
    network: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The network: efficientat, skey.", show_default=False),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch it without asking.")] = False,
    mirror: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL",
            help="Where else the same file is; its SHA-256 is checked in any case.",
            show_default="where its authors publish it",
        ),
    ] = None,
    force: options.Force = False,
) -> None:
    """Fetch a network's weights from where its authors publish them.

    Says the source, the licence and the SHA-256, and asks before it fetches. The weights are
    written in the user's data folder, as mer import weights does; a kind of feature then finds
    them. What an interrupted run has fetched is kept, and the next one goes on from there. No
    other command fetches anything.

    \b
    Examples:
      mer models fetch efficientat
      mer models fetch skey --yes
    """
    from pathlib import PurePosixPath
    from urllib.parse import urlsplit

    from mertools.artifacts.files import make_folder
    from mertools.cli.shared.console import say
    from mertools.errors import UsageError
    from mertools.pretrained.fetching import fetch
    from mertools.pretrained.publications import find_publication, read_published_weights
    from mertools.pretrained.user_weights import SUFFIX, data_folder, write_weights

    publication = find_publication(network)
    download = publication.download
    if download is None:
        raise UsageError(
            network,
            "is not fetched, as no file is known that will stay as it is",
            f"take {publication.source}, and mer import weights {network} FILE",
        )
    folder = data_folder()
    if (folder / f"{network}{SUFFIX}").exists() and not force:
        say(f"{folder / network}{SUFFIX}: is there already; --force fetches it anew")
        return
    url = mirror or download.url
    say(f"{url}: {download.n_bytes:,} bytes")
    say(f"weights of {network}, licence {download.licence}, SHA-256 {download.sha256}")
    _ask(network, yes=yes)
    make_folder(folder)
    part = folder / f"{network}.fetched{PurePosixPath(urlsplit(download.url).path).suffix}"
    fetch(download, url, part)
    target = write_weights(folder, network, read_published_weights(publication, (part,)))
    part.unlink()
    say(f"{target}: fetched")


def _ask(network: str, *, yes: bool) -> None:
    """Let a person agree. Raises UsageError where nobody is there, Abort where they do not."""
    import sys

    from mertools.errors import UsageError

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"models fetch {network}", "asks before it fetches, and nobody is there", "add --yes"
        )
    typer.confirm("Fetch it?", abort=True, err=True)
