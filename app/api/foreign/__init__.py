"""Wire formats of other APIs, one file each; beside it, the schema of the responses as their clients know it."""
