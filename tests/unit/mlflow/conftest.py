import sys
from pathlib import Path

# The package is installed in its own image only.
sys.path.insert(0, str(Path(__file__).parents[3] / "services/mlflow"))
