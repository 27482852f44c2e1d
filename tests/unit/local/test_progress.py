"""Progress on a terminal, and in a log."""

import io

from local.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_per_quarter() -> None:
    stream = io.StringIO()
    progress = Progress("Loading", stream)
    for done in range(2001):
        progress(done, 2000)
    assert stream.getvalue().splitlines() == [
        "Loading    0 %  0 of 2,000",
        "Loading   25 %  500 of 2,000",
        "Loading   50 %  1,000 of 2,000",
        "Loading   75 %  1,500 of 2,000",
        "Loading  100 %  2,000 of 2,000",
    ]


def test_a_terminal_keeps_one_line_until_the_end() -> None:
    stream = Terminal()
    progress = Progress("Loading", stream)
    for done in range(101):
        progress(done, 100)
    assert stream.getvalue().count("\r") == 101
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith(f"\rLoading  {'█' * 30} 100 %  100 of 100\x1b[K\n")


def test_nothing_to_load_is_no_division_by_zero() -> None:
    stream = io.StringIO()
    Progress("Loading", stream)(0, 0)
    assert stream.getvalue() == "Loading    0 %  0 of 0\n"
