"""The shell commands of an operator: `flask --app app user|mail|movies|secret|db`."""
