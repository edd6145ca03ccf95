"""Development only: the embedded database server, its supervisor and its launcher."""
