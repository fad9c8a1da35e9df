"""Larder recognises what is in a picture: the service behind `python -m app serve`."""

__version__ = "0.2.0"
