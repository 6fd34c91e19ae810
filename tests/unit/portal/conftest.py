"""Makes the portal's package importable as its image does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "services/portal"))
