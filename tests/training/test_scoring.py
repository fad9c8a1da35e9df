"""A label is the mean of its prompts."""

import numpy as np

from app.training import scoring


def test_prototypes_average_names_and_templates():
    """A label with two names lies between them, and has length 1."""
    vectors = {"a": [2.0, 0.0], "b": [0.0, 3.0]}
    made = scoring.prototypes([["a", "b"], ["a"]], ["{}"], lambda texts: np.array([vectors[text] for text in texts]))
    np.testing.assert_allclose(made, [[0.5**0.5, 0.5**0.5], [1.0, 0.0]])
