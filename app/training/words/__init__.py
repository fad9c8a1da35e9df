"""The shared embedding space of pictures and texts, the text tower, and the background of `known`."""
