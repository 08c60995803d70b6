"""`python -m evoae` is the `evoae` command."""

import sys

from evoae.cli import main

if __name__ == "__main__":
    sys.exit(main())
