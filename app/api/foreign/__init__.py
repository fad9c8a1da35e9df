"""Wire forms that others have defined, one file each; beside it, the schema of the answers as their clients know it."""
