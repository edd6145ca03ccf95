"""The rules: they know no HTTP, work at the shell too, and raise services.errors."""
