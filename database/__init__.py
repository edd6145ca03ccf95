"""Documents and the database they live in."""
