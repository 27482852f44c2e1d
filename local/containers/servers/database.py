"""Lets a user sign in to PostgreSQL if the password is an IAM token of RDS. PAM runs it for each connection."""

from __future__ import annotations

import os
import sys

from .tokens import Refused, check, names_in


def main() -> int:
    """Return 0 if the user may sign in, else 1. PAM passes both in environment variables."""
    user, token = os.environ["PAM_USER"], os.environ["PAM_AUTHTOK"]
    names = names_in("/run/database.crt")
    try:
        expected = {"Action": "connect", "DBUser": user}
        check(token, "rds-db", expected, lambda host, _region: host.rpartition(":")[0] in names)
    except Refused as reason:
        print(f"{user} is refused: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
