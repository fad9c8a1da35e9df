"""Untrusted bytes to the model's input: Pillow and numpy; knows no model and no label."""
