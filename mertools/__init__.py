"""Composable commands for music emotion recognition."""

__version__ = "0.1.0"
