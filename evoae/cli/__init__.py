"""The `evoae` command."""

from evoae.cli.entry_point import main

__all__ = ["main"]
