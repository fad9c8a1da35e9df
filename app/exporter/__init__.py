"""Export open_clip models as bundles that serving reads without torch, verified to equal the original."""
