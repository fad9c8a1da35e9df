"""Embeddings and labels to answers, in numpy alone."""
