"""A deployment without AWS: packages the build, plays CloudFormation's part, and checks the artifacts."""
