"""From untrusted bytes to the model's input, with Pillow and numpy; knows no model and no label."""
