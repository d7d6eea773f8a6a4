"""A pretrained text encoder (BERT and its like) as a module of torch, and as a branch of a network.

J. Devlin and others, "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding", NAACL 2019. The architecture is that of `transformers`, read from config.json; code
that comes with a model is never run. In bfloat16 on a GPU and AdamW, all of bert-base-uncased takes
1.8 GB for weights, gradients and moments, besides what a batch takes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.artifacts.feature_rows import NO_TOKEN
from mertools.errors import UsageError
from mertools.models.layers import InputBranch

CONFIG, TOKENIZER = "config", "tokenizer"
"""Buffers of a branch, whose bytes are those of the files config.json and tokenizer.json."""


@dataclass(frozen=True)
class TextEncoder:
    """What makes an encoder: the bytes of config.json and tokenizer.json, and weights by name.

    Without weights a module has random ones, which a model's file replaces.
    """

    config: bytes
    tokenizer: bytes
    weights: Mapping[str, Tensor] | None = None

    @property
    def name(self) -> str:
        """The sort of encoder, such as "bert"."""
        return str(json.loads(self.config)["model_type"])


def import_transformers() -> Any:
    """Import transformers, kept from the network. Raises UsageError where it is not installed."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import transformers
    except ModuleNotFoundError:
        raise UsageError(
            "transformers", "is not installed", "pip install 'mertools[lyrics]'"
        ) from None
    quiet: Any = transformers.logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    return transformers


def build_module(encoder: TextEncoder) -> nn.Module:
    """Build the module of an encoder, in float32 and evaluation mode.

    Raises UsageError where transformers is not installed, ValueError where the configuration is of
    no known encoder or a weight is missing.
    """
    transformers = import_transformers()
    content = json.loads(encoder.config)
    if "auto_map" in content:
        raise ValueError("its config.json asks for code of its own, which is not run")
    kind = str(content.get("model_type"))
    if kind not in transformers.CONFIG_MAPPING:
        raise ValueError(f"its config.json is of {kind!r}, which transformers does not know")
    config = transformers.CONFIG_MAPPING[kind].from_dict(content)
    config.dtype = torch.float32
    module: nn.Module = transformers.AutoModel.from_config(config, trust_remote_code=False)
    # On no device there are only shapes, as in a check before training.
    if encoder.weights is not None and torch.get_default_device().type != "meta":
        module, report = type(module).from_pretrained(  # type: ignore[attr-defined]
            None,
            config=config,
            state_dict=dict(encoder.weights),
            dtype=torch.float32,
            output_loading_info=True,
        )
        # A layer that only pretraining needs may be missing: its output is not used.
        missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
        if missing or report["mismatched_keys"]:
            raise ValueError(f"its model.safetensors lacks the weight {[*missing, '?'][0]}")
    return module.eval()


def pool_tokens(module: nn.Module, tokens: Tensor, pool: str) -> Tensor:
    """Give a vector of each text: tokens (n, n_tokens), -1 where there are none, to (n, size).

    `pool` is "cls", the first token's vector in the last layer, or "mean" of all tokens'. A text
    without tokens is zeros.
    """
    mask = tokens >= 0
    n_longest = max(1, int(mask.sum(dim=1).max()))
    tokens, mask = tokens[:, :n_longest].clamp(min=0).long(), mask[:, :n_longest]
    has_words = mask[:, :1]
    # Where there is nothing to attend to, attention is not defined.
    seen = mask | ~has_words
    states = module(input_ids=tokens, attention_mask=seen.long()).last_hidden_state
    if pool == "mean":
        weights = seen.unsqueeze(2).to(states.dtype)  # (n, n_longest, 1)
        pooled = (states * weights).sum(dim=1) / weights.sum(dim=1)
    else:
        pooled = states[:, 0]
    vectors: Tensor = pooled * has_words
    return vectors


class EncoderBranch(InputBranch):
    """A text encoder that is learnt with the network: tokens (n, n_tokens) to (n, size).

    Its configuration and tokenizer lie beside the weights, so that a model's file holds all that
    predictions from words need. In training a share `dropout` of the texts is left out.
    """

    config: Tensor
    tokenizer: Tensor

    def __init__(self, encoder: TextEncoder, pool: str, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        for name, content in ((CONFIG, encoder.config), (TOKENIZER, encoder.tokenizer)):
            self.register_buffer(name, torch.frombuffer(bytearray(content), dtype=torch.uint8))
        self.pool = pool
        module: Any = build_module(encoder)
        self.module: nn.Module = module
        self.size = int(module.config.hidden_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed texts."""
        if self.training and self.dropout:
            kept = torch.rand(len(tokens), 1, device=tokens.device) >= self.dropout
            tokens = tokens.where(kept, NO_TOKEN)
        return pool_tokens(self.module, tokens, self.pool)

    def pretrained(self) -> Iterable[nn.Parameter]:
        """Give the encoder's weights."""
        return self.module.parameters()

    def finish_loading(self) -> None:
        """Fill what is computed and not stored, such as the numbers of positions."""
        if not any(buffer.is_meta for buffer in self.module.buffers()):
            return
        content = bytes(self.config.cpu().numpy())
        with torch.device("cpu"):
            computed = build_module(TextEncoder(content, b""))
        for path, part in self.module.named_modules():
            for name, buffer in part.named_buffers(recurse=False):
                if buffer.is_meta:
                    setattr(part, name, computed.get_submodule(path).get_buffer(name))


def stored_encoder(learnt: Mapping[str, NDArray[Any]], branch: str) -> TextEncoder | None:
    """Give the encoder that a model's arrays hold in a branch; None where they hold none."""
    parts = [learnt.get(f"{branch}.{name}") for name in (CONFIG, TOKENIZER)]
    if not all(isinstance(part, np.ndarray) and part.dtype == np.uint8 for part in parts):
        return None
    config, tokenizer = (np.asarray(part).tobytes() for part in parts)
    return TextEncoder(config, tokenizer)
