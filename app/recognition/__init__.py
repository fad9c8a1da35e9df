"""Embeddings and labels to answers, with numpy only."""
