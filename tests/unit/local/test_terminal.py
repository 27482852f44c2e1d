"""What is printed may have names of a database, of files and of a log: they must not control the terminal."""

from __future__ import annotations

import pytest

from local.terminal import print_line


def test_line_with_a_name_of_a_database_does_not_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("watch\n\tev\x1b]0;pwn\x07\r\x9b31mil\x7f\u202e é █")
    assert capsys.readouterr().out == "watch\n\tev\\x1b]0;pwn\\x07\\r\\x9b31mil\\x7f\\u202e é █\n"
