"""The part of CloudFormation that is evaluated on this machine: a template's functions, parameters and rules."""
