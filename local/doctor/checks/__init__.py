"""The checks: each takes the deployment, and the account if it asks AWS, and yields a finding if it applies."""
