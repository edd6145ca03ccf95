"""The rules: free of HTTP, raising the named errors of services.errors."""
