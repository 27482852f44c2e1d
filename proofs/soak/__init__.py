"""A soak: an hour of mixed load on the whole stack. Nothing that it uses may grow.

    stack      PostgreSQL, Valkey, and the gateway with its sandboxes in a process of its own, which are never replaced
    load       callers over HTTP, and a writer that bypasses the API                  requests    what they send
    samples    what each process uses, what the servers hold, every few seconds     processes   reads that from Linux
    trend      the slope of a series, with its interval                             report      table, page, plot

`run.soak` starts them. It begins to judge after a fifth of the time: until then sandboxes open their connections, and
keys and rows reach the number at which as many end as begin. It tells the trend of one machine and one process each:
Lambda replaces sandboxes after some hours, and a sandbox of Lambda serves fewer requests than one here.
"""
