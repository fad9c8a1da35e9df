"""Makes the numbers of docs/benchmarks.md; `make bench` runs it all."""
