"""The `evoae` command."""

from evoae.cli.commands import main

__all__ = ["main"]
