"""The checks. Each takes the deployment, and the account if it asks AWS."""
