"""Makes the model server's package importable; it is not installed, its image runs it from its folder too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "services" / "serving"))
