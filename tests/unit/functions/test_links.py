"""The functions of the tests are those of functions/, all of them, with another catalogue."""

from __future__ import annotations

from tests.support.root import FUNCTIONS, ROOT


def test_everything_but_the_catalogue_is_linked() -> None:
    names = {path.name for path in (ROOT / "functions").iterdir()} - {"catalogue", "__pycache__"}
    assert {path.name for path in FUNCTIONS.iterdir() if path.is_symlink()} == names
    assert all((FUNCTIONS / name).resolve() == ROOT / "functions" / name for name in names)
    assert not (FUNCTIONS / "catalogue").is_symlink()
