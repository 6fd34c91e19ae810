"""Makes the gate's package importable (it is installed in its own image only)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "services/dockergate"))
