"""What every request passes: decorators, JSON, errors, limits, log, headers, OpenAPI."""
