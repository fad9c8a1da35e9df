"""What pictures and words have in common: the shared space, the text tower, and what is none of the labels."""
