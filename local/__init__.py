"""The whole stack on one machine, and the command line: `python -m local run`, `demo`, `check` and `rehearse`.

`subcommands` is where each begins. A server or sandbox that was started here also ends when its owner is killed.
"""

from pathlib import Path
from typing import Final

__all__ = ["ROOT"]

ROOT: Final = Path(__file__).resolve().parent.parent  # the folder of the checkout
