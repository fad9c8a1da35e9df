"""Shared by tests and benchmarks: services in separate processes, load generators, hostile input and random vectors."""
