"""A deployment without AWS: the SAM CLI against an emulator of AWS, whose functions and servers are containers."""
