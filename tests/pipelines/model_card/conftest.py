"""The helper beside this file goes on the import path: --import-mode=importlib gives tests no name to import it by."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
