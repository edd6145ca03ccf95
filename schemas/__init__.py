"""Requests and responses: they validate, they serialise, they are the OpenAPI document."""
