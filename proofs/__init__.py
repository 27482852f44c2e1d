"""What is proven rather than measured: the explorer and the consistency run."""
