"""A stack at work, on this machine or deployed: its cached answers, its metrics, and requests to its API."""
