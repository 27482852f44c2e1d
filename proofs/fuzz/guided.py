"""`python -m proofs.fuzz.guided TARGET [options of libFuzzer]`: cases guided by the code that they make run.

atheris tells libFuzzer which branches of the library a case has reached, and what it was compared with. libFuzzer
changes the bytes of a case that has reached something new. Such cases stay in `.local/fuzz/`, so that the next run
begins with them. Status 77 if a property does not hold.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["cacheaside"]):
    from proofs.fuzz.choices import Choices
    from proofs.fuzz.search import failure_of
    from proofs.fuzz.targets import TARGETS

__all__ = ["main"]

# libFuzzer adds few bytes at a time to a case. A case of one byte for each choice is short.
_BYTES_AT_MOST: Final = 512
_CORPORA: Final = Path(".local") / "fuzz"


def main() -> None:
    """Run until libFuzzer ends the process."""
    name, *options = sys.argv[1:]
    corpus = _CORPORA / name
    corpus.mkdir(parents=True, exist_ok=True)
    with TARGETS[name]() as target:

        def run(data: bytes) -> None:
            failure = failure_of(target, Choices(data))
            if failure is not None:
                print(failure, flush=True)
                raise AssertionError("a property does not hold, see above")

        # libFuzzer leaves SIGALRM to `search`, which bounds the time of a case with it.
        chosen = [f"-artifact_prefix={_CORPORA}/", f"-max_len={_BYTES_AT_MOST}", "-handle_alrm=0", *options]
        atheris.Setup([sys.argv[0], *chosen, str(corpus)], run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
