"""Request and response schemas, by subject."""
