"""Makes the model server's package importable; it is not installed, its image runs it from its folder too."""

import os
import sys
from pathlib import Path

# As in its image; before scikit-learn is imported, which reads it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parents[3] / "services" / "serving"))
