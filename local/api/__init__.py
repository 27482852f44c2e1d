"""API Gateway and Lambda on this machine: HTTP to events, routes, and a pool of sandboxes for each function."""
