"""`cacheaside doctor`: finds before a deployment why CloudFormation would fail minutes later. It creates nothing."""
