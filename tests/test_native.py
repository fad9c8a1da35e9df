"""Limits on native libraries."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys, time
import numpy as np
from threadpoolctl import threadpool_info
from app.native import bound_threads
bound_threads(2)
import faiss
pools = {each["prefix"]: each["num_threads"] for each in threadpool_info()}
matrix, vector = np.ones((20_000, 512), np.float32), np.ones(512, np.float32)
matrix @ vector
cpu, wall = time.process_time(), time.thread_time()
for _ in range(50):
    matrix @ vector
print(json.dumps({"pools": pools, "others": time.process_time() - cpu - (time.thread_time() - wall)}))
"""


def test_products_of_one_picture_with_many_labels_wake_no_other_thread():
    """BLAS under numpy computes in the thread that asks; OpenMP under FAISS has at most the threads of the setting."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["pools"]["libscipy_openblas"] == 1
    assert max(found["pools"].values()) <= 2
    assert found["others"] < 0.01  # seconds of processor time in other threads
