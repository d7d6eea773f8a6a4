"""Hatch's hook of the wheel: the weights are built into the package before it is packed."""

from __future__ import annotations

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WeightsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the weights of pretrained networks; git ignores them, so hatch has to be told."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is missing, for a wheel as for an editable install of a checkout."""
        sys.path.insert(0, self.root)
        try:
            from tools.build_weights import build_missing

            build_missing()
        finally:
            sys.path.remove(self.root)
        build_data["artifacts"].append("/mertools/pretrained/weights/*")
