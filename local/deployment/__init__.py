"""A deployment without AWS: packages the build, checks the artifacts, and sends CloudFormation's requests."""
