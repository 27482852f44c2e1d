"""HTTP: outcomes, confirmations and errors as responses, and the documents generated from the catalogue."""
