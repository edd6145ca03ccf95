"""Checks of words, imports and sizes that `make lint` runs beside ruff and mypy."""
