"""Helpers of the tests: clients, servers, assertions. No test imports another test."""
