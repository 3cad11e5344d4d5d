"""Speed against other libraries on the same machine: `make bench`; see `benchmarks.run`."""
