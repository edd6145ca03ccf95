"""How fast it is, beside what could be: `make bench` measures, and writes docs/performance.md."""
