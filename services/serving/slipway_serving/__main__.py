"""`python -m slipway_serving`."""

import sys

from .main import main

sys.exit(main())
