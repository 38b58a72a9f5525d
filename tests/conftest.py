"""What every test, and every process a test starts, finds in its environment."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The kernels of graders and of nbval import helpers from this checkout, installed or not.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
# On a busy machine two threads are many times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
