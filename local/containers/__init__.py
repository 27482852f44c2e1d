"""The SAM CLI with a Docker engine, against the servers of this machine."""
