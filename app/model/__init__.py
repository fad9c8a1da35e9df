"""From prepared pictures or text to unit embeddings; knows no label and no HTTP."""
