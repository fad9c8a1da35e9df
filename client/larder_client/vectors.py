"""Decode embeddings; numpy arrays if numpy is installed."""

import base64
import struct
from collections.abc import Iterable
from typing import Any

Vectors = Any
"""An array (N, D) of float32; without numpy, N lists of D floats."""


def vectors(texts: Iterable[str]) -> Vectors:
    """Decode base64 texts of little-endian float32."""
    parts = [base64.b64decode(text, validate=True) for text in texts]
    try:
        import numpy as np
    except ImportError:
        return [list(struct.unpack(f"<{len(part) // 4}f", part)) for part in parts]
    return np.stack([np.frombuffer(part, "<f4") for part in parts]).astype(np.float32)
