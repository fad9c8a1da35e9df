"""What tests and benchmarks share: services in processes of their own, load, hostile input and drawn vectors."""
