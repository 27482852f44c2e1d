"""The parts that depend on Lambda: tasks after the response, SnapStart, and metrics for CloudWatch."""
