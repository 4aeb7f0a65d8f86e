"""`python -m nextscan`: the command line, as `torchrun` starts it."""

import sys

from nextscan.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
