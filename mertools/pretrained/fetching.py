"""Fetching a published file: whole and of the right SHA-256, or not at all."""

from __future__ import annotations

import hashlib
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from mertools.errors import MerError, UsageError
from mertools.pretrained.publications import Download

SCHEMES = ("https", "http")
TIMEOUT_S = 60
BLOCK_BYTES = 1 << 16
PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416
OTHER_FILE_REMEDY = "fetch it from where its authors publish it"


def fetch(download: Download, url: str, part: Path) -> None:
    """Fetch a file from an address into `part`, going on behind what is there already.

    Raises UsageError for an address of another kind, MerError where the server does not answer with
    the file: what came is kept for the next try, unless it is another file.
    """
    if urlsplit(url).scheme not in SCHEMES:
        raise UsageError(url, "is no address to fetch from", "give one of http or https")
    n_there = part.stat().st_size if part.is_file() else 0
    if n_there < download.n_bytes:
        try:
            _receive(download, url, part, n_there)
        except HTTPError as error:
            error.close()
            if error.code == RANGE_NOT_SATISFIABLE:
                part.unlink()
            raise MerError(
                url, f"answers {error.code} {error.reason}", "try later, or another --from"
            ) from None
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise MerError(url, f"cannot be fetched ({reason})", "run it again, to go on") from None
    _check(download, url, part)


def _receive(download: Download, url: str, part: Path, n_there: int) -> None:
    headers = {"Range": f"bytes={n_there}-"} if n_there else {}
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT_S) as answer:  # noqa: S310, checked
        # A server that knows no ranges sends the whole file again.
        goes_on = answer.status == PARTIAL_CONTENT
        n_left = download.n_bytes - (n_there if goes_on else 0)
        if answer.length not in (None, n_left):
            raise MerError(
                url,
                f"is another file, with {answer.length:,} bytes to come and not {n_left:,}",
                OTHER_FILE_REMEDY,
            )
        with part.open("ab" if goes_on else "wb") as stream:
            # One byte more than there should be shows a longer file, and ends one without end.
            while n_left >= 0 and (block := answer.read(min(BLOCK_BYTES, n_left + 1))):
                stream.write(block)
                n_left -= len(block)


def _check(download: Download, url: str, part: Path) -> None:
    n_bytes = part.stat().st_size
    if n_bytes < download.n_bytes:
        raise MerError(
            url,
            f"ended after {n_bytes:,} of {download.n_bytes:,} bytes",
            "run it again, to go on",
        )
    found = hashlib.sha256(part.read_bytes()).hexdigest()
    if found != download.sha256:
        part.unlink()
        raise MerError(
            url,
            f"is another file, of SHA-256 {found} and not {download.sha256}",
            OTHER_FILE_REMEDY,
        )
