"""Deployment: one folder for each platform."""
