"""Serve many callers with one model: batching, queues, keys and feedback."""
