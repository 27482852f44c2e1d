"""How a person ends a command."""

import signal
from types import FrameType

__all__ = ["Ending"]


class Ending:
    """Ctrl-C, `kill` and a closed terminal raise KeyboardInterrupt once; impatience does not disturb the unwinding.

    `asked` stays: some libraries swallow what is raised while they are imported.
    """

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
                signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            raise KeyboardInterrupt
