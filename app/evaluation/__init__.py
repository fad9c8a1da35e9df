"""Measure a bundle on labelled pictures: against a CNN, and how far its confidence can be trusted."""
