"""Recognition: from embeddings and labels to answers, with numpy only."""
