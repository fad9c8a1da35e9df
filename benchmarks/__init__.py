"""What the README's numbers are made with; `make bench` runs it all."""
