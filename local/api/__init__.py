"""API Gateway, Lambda and EventBridge Scheduler on this machine.

`gateway` serves HTTP with uvicorn. For each request it asks `routing` for the route, has `events` make the event of it,
and calls `pool`, which keeps the sandboxes of one function. A sandbox is a process that runs `sandbox.py`.
`schedule` calls the same pools at the times that the template gives.
"""
