"""The signals that end a command."""

import signal
from types import FrameType

__all__ = ["Shutdown"]


class Shutdown:
    """The first SIGINT, SIGTERM or SIGHUP raises KeyboardInterrupt; later ones do not disturb the cleanup.

    `requested` stays true, because some libraries swallow an exception that is raised while they are imported.
    SIGINT ends a command even where a shell's `&` had it ignored: the shell's Ctrl-C then stops the servers, too.
    SIGHUP stays ignored under nohup, which is there to have it ignored.
    """

    def __init__(self) -> None:
        self.requested = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._request)

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        if not self.requested:
            self.requested = True
            raise KeyboardInterrupt
