"""Text encoders that a user has: a folder with config.json, tokenizer.json and model.safetensors.

An encoder is named by its folder, by the name of one in the folder `encoders` of a folder that
`MER_MODELS` names or of the user's data folder, or by the name under which the Hugging Face hub's
cache has it. Nothing is fetched, no code that comes with it is run, and no pickle is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mertools.artifacts.feature_rows import NO_TOKEN
from mertools.artifacts.files import digest_file, digest_json
from mertools.errors import SchemaError, UsageError
from mertools.pretrained.user_weights import DIGITS, MODELS_VARIABLE, data_folder

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from mertools.models.text_encoder import TextEncoder

CONFIG, TOKENIZER, WEIGHTS = FILES = ("config.json", "tokenizer.json", "model.safetensors")
FOLDER = "encoders"
VARIABLE = "MER_ENCODER"
"""The folder of the encoder that this process and those that it starts compute with."""

Encoded = tuple[list[int], bool]
"""Numbers of a text's tokens, and whether its end is left out."""


def find_encoder(name: str) -> Path:
    """Find the folder of an encoder by its path or name.

    Raises UsageError where there is none or it lacks a file.
    """
    folder = next((path for path in _candidates(name) if path.is_dir()), None)
    if folder is None:
        raise UsageError(
            f"--encoder {name}",
            "is no folder, and no encoder of that name is here",
            f"give a folder with {', '.join(FILES)}; nothing is fetched",
        )
    for file in FILES:
        if not (folder / file).is_file():
            raise UsageError(folder, f"has no {file}", f"give a folder with {', '.join(FILES)}")
    return folder


def _candidates(name: str) -> Iterator[Path]:
    yield Path(name)
    for folder in _encoder_folders():
        yield folder / name
    if (cached := _find_in_cache(name)) is not None:
        yield cached


def _encoder_folders() -> Iterator[Path]:
    for folder in filter(None, os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)):
        yield Path(folder) / FOLDER
    yield data_folder().with_name(FOLDER)


def _find_in_cache(name: str) -> Path | None:
    """Find a model in the cache that programs of Hugging Face share, without asking its hub."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ModuleNotFoundError:
        return None
    try:
        found = try_to_load_from_cache(name, WEIGHTS)
    except HFValidationError:  # what cannot be a name there
        return None
    return Path(found).parent if isinstance(found, str) else None


def use_encoder(folder: Path) -> str:
    """Let this process and those that it starts compute with an encoder; return its digest."""
    os.environ[VARIABLE] = str(folder.resolve())
    return digest_encoder(folder)


@contextmanager
def using_encoder(digest: str, name: str | None) -> Iterator[None]:
    """Compute with the encoder of a digest within the block: the named one, or one that is here.

    Raises UsageError where there is none.
    """
    folders = [find_encoder(name)] if name is not None else list(_installed())
    for folder in folders:
        if digest_encoder(folder) == digest:
            use_encoder(folder)
            yield
            return
    problem = f"is another text encoder than the model learnt from ({digest})"
    if name is None:
        raise UsageError(
            "--encoder",
            f"is missing: no encoder here has the digest {digest}",
            "name the folder of the one that the lyrics were computed with",
        )
    raise UsageError(f"--encoder {name}", problem, "name the one that mer inspect shows")


def _installed() -> Iterator[Path]:
    for parent in _encoder_folders():
        for folder in sorted(parent.glob("*")) if parent.is_dir() else ():
            if all((folder / file).is_file() for file in FILES):
                yield folder


def digest_encoder(folder: Path) -> str:
    """Digest an encoder's files: features of equal digests come from the same encoder."""
    states = [(folder / file).stat() for file in FILES]
    return _digest(folder, tuple((state.st_size, state.st_mtime_ns) for state in states))


@lru_cache(maxsize=8)
def _digest(folder: Path, states: tuple[tuple[int, int], ...]) -> str:
    return digest_json([digest_file(folder / file) for file in FILES])[:DIGITS]


def load_encoder(folder: Path) -> TextEncoder:
    """Read an encoder's files. Raises SchemaError where they are no encoder's."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from mertools.models.text_encoder import TextEncoder

    try:
        weights = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise SchemaError(folder / WEIGHTS, f"cannot be read ({error})", "copy it again") from None
    config, tokenizer = ((folder / file).read_bytes() for file in (CONFIG, TOKENIZER))
    return TextEncoder(config, tokenizer, weights)


class Tokenizer:
    """The tokenizer of an encoder, from the bytes of tokenizer.json.

    Texts are cut to `max_tokens`, with those that begin and end a text. Raises SchemaError, naming
    `subject`, where it cannot be read.
    """

    def __init__(self, content: bytes, max_tokens: int, subject: object = TOKENIZER) -> None:
        from mertools.models.text_encoder import import_transformers

        import_transformers()
        import tokenizers

        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(content)
        except Exception as error:  # noqa: BLE001, the only one that tokenizers raises
            raise SchemaError(subject, f"is no tokenizer ({error})", "copy it again") from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def encode(self, text: str) -> Encoded:
        """Give a text's tokens, and whether there were more; none of a text without words."""
        if not text.strip():
            return [], False
        encoding = self._tokenizer.encode(text)
        return list(encoding.ids), bool(encoding.overflowing)


@lru_cache(maxsize=2)
def load_tokenizer(folder: str, max_tokens: int) -> Tokenizer:
    """Load the tokenizer of an encoder's folder."""
    path = Path(folder) / TOKENIZER
    return Tokenizer(path.read_bytes(), max_tokens, path)


@lru_cache(maxsize=1)
def load_module(folder: str, device: str) -> Any:
    """Load an encoder's module to a device. Raises SchemaError where it cannot be built."""
    from mertools.models.text_encoder import build_module

    encoder = load_encoder(Path(folder))
    try:
        return build_module(encoder).to(device)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise SchemaError(folder, f"holds no text encoder ({error})", "give another") from None


def longest_text(folder: Path) -> int | None:
    """Give how many tokens an encoder reads at most; None where its config.json does not say."""
    try:
        content = json.loads((folder / CONFIG).read_bytes())
        longest = content.get("max_position_embeddings")
    except (AttributeError, ValueError) as error:
        raise SchemaError(
            folder / CONFIG, f"is no JSON object ({error})", "copy it again"
        ) from None
    return longest if isinstance(longest, int) else None


def embed_tokens(texts: list[list[int]], folder: str, pool: str, device: str) -> list[NDArray[Any]]:
    """Give a vector (size,) float32 of each text's tokens; zeros of one without tokens.

    On a CPU texts run one by one, so that none changes another's bytes; on a device together.
    """
    import torch

    from mertools.models.text_encoder import pool_tokens

    module = load_module(folder, device)
    batches = [texts] if device != "cpu" else [[tokens] for tokens in texts]
    vectors: list[NDArray[Any]] = []
    with torch.inference_mode():
        for batch in batches:
            padded: torch.Tensor = torch.full((len(batch), max(1, *map(len, batch))), NO_TOKEN)
            for row, tokens in zip(padded, batch, strict=True):
                row[: len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            vectors += list(pool_tokens(module, padded.to(device), pool).float().cpu().numpy())
    return vectors
