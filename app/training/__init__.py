"""Train the small CLIP that Larder is delivered with."""
