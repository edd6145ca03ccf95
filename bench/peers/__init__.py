"""The same work by others: `make bench-peers` measures, and writes docs/performance.md."""
