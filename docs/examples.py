"""Docstrings end with an example, mostly without a heading; a page lays it out under one."""

import re
import textwrap
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Makes a section of the example at the end of each docstring."""

    def on_object(self, *, obj: griffe.Object, **settings: Any) -> None:
        """Called by griffe for whatever it has read."""
        if not obj.docstring:
            return
        text = obj.docstring.value.replace("Example:\n", "Examples:\n")
        before, example, after = re.split(r"(?m)^(>>> )", text + "\n>>> ", maxsplit=1)
        after = after.removesuffix("\n>>> ")
        if after:
            text = f"{before}Examples:\n{textwrap.indent(example + after, '  ')}"
        obj.docstring.value = text.strip()
