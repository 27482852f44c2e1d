"""The whole stack on one machine: `python -m local run` and `python -m local demo`.

| module        | what it knows                                                | with                 |
|---------------|--------------------------------------------------------------|----------------------|
| `commands`    | run and demo, and what a person is told                      | `demo`, `signals`    |
| `stack`       | both servers, schema, sample data, `.local/endpoints.env`    | `progress`           |
| `server`      | a server process: started, stopped, and for tests hurt       | `postgres`, `valkey` |
| `watchdog`    | how a server ends whose owner was killed                     |                      |
| `template`    | functions and routes of template.yaml                        |                      |
| `gateway`     | HTTP, answered as API Gateway has it answered                | `routing`, `events`  |
| `pool`        | Lambda's side of a function: who serves which request        | `sandbox`            |
| `environment` | what differs from the template here: addresses and sign-in   |                      |
| `sam`         | `make invoke` and `make api`                                 |                      |
| `emulator`    | the SAM CLI against the same servers                         | `engine`, `forward`  |
| `response_url`| CloudFormation's part in an event of the migrate function    |                      |
"""
