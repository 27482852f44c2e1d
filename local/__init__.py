"""The whole stack on one machine: `python -m local run` and `python -m local demo`.

| module        | what it knows                                                  | with                |
|---------------|----------------------------------------------------------------|---------------------|
| `__main__`    | the two commands, and what a person is told                    | `demo`, `progress`  |
| `stack`       | both servers, schema, sample data, `.local/endpoints.env`      |                     |
| `server`      | a server process: started, stopped, and for tests hurt         | `postgres`, `valkey`|
| `watchdog`    | how a server ends whose owner was killed                       |                     |
| `template`    | functions and routes of template.yaml                          |                     |
| `gateway`     | HTTP, answered as API Gateway has it answered                  | `routing`, `events` |
| `pool`        | Lambda's side of a function: who serves which request          | `sandbox`           |
| `environment` | what each function finds in `os.environ`, here and in sam local|                     |
"""
