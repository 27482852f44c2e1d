"""`python -m proofs.chaos SECONDS [--cache node|cluster|pair] [--seed N] [--report]`: status 1 after a violation."""

from __future__ import annotations

import argparse
import random
import signal
import sys
from pathlib import Path
from typing import Final

from local.progress import Progress
from proofs.chaos.campaign import KINDS, run_campaign
from proofs.chaos.report import describe, describe_violations, write_report

_RECORDS: Final = Path(".local") / "chaos"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.chaos")
    parser.add_argument("seconds", type=float, nargs="?", default=300.0)
    parser.add_argument("--cache", choices=KINDS, help="all three, one after the other, if it is not given")
    parser.add_argument("--seed", type=int, help="that of an earlier run, to replay its faults")
    parser.add_argument("--report", action="store_true", help="put the result into docs/reliability.md")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers and file systems are taken away then too
    seed = random.SystemRandom().randrange(1_000_000) if arguments.seed is None else arguments.seed
    kinds = KINDS if arguments.cache is None else (arguments.cache,)
    cache = "" if arguments.cache is None else f" CACHE={arguments.cache}"
    command = f"make chaos MINUTES={arguments.seconds / 60:g} SEED={seed}{cache}"
    print(command, flush=True)
    campaigns = []
    for kind in kinds:
        campaign = run_campaign(kind, arguments.seconds / len(kinds), seed, Progress(f"faults, cache: {kind}"))
        campaign.history.write(_RECORDS / f"{kind}.jsonl")
        campaigns.append(campaign)
    print(f"\n{describe(campaigns, command)}")
    if arguments.report:
        write_report(campaigns, command)
    if any(campaign.violations for campaign in campaigns):
        print(f"{describe_violations(campaigns)}\n\nthe records are in {_RECORDS}; `{command}` replays the faults")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
