"""The documentation: what it says is run, parsed or compared."""
