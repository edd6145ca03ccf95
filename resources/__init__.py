"""HTTP: each resource translates a request into a service call, and its outcome into an answer."""
