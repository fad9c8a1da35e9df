"""Many callers, one model: batching, queues, keys and feedback."""
