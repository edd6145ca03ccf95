"""The specification, as tests: real HTTP, a real database, a real SMTP conversation."""
