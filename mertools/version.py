"""The version of mertools, for what it writes."""

__version__ = "0.1.0"
