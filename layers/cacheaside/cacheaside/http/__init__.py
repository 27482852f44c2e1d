"""HTTP: how outcomes and errors look to a caller, and the documents generated from the catalogue."""
