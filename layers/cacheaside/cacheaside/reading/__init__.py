"""The read path: an answer from the cache, or from one load that all callers share."""
