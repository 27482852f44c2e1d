"""What depends on Lambda: work after the response, SnapStart, and metrics for CloudWatch."""
