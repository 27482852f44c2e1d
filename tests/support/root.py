"""The root folder of the repository, and the functions with the catalogue of the tests."""

from pathlib import Path
from typing import Final

__all__ = ["FUNCTIONS", "ROOT"]

ROOT: Final = Path(__file__).parents[2]
# The code is linked to functions/. The catalogue is the tests' own: the one in functions/ is the user's.
FUNCTIONS: Final = ROOT / "tests" / "functions"
