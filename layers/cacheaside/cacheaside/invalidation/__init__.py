"""Invalidation: the outbox is drained, operators invalidate by hand, and a verifier looks for stale answers."""
