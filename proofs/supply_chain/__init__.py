"""Checks of what others wrote and this project installs: advisories, licences, a bill of materials, leaked secrets."""
