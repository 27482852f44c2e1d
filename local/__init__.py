"""The whole stack on one machine, and the command line `cacheaside`: each command begins in `cli`.

A server or sandbox that was started here also ends when its owner is killed.
"""

from pathlib import Path
from typing import Final

__all__ = ["ROOT"]

ROOT: Final = Path(__file__).resolve().parent.parent  # the folder of the checkout
