"""How fast it is, next to what bounds it: `make bench` measures, and writes docs/performance.md."""
