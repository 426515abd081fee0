"""What holds for every test: `pytest notebooks` reads this file too, and not tests/conftest.py."""

import os

# Stored outputs are the CPU's, and come from this environment's kernel.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
# Two workers with a thread for each core would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
