"""`python -m runner.comparison`, the same as `runner-compare`."""

from __future__ import annotations

import sys

from runner.comparison.cli import main

if __name__ == "__main__":
    sys.exit(main())
