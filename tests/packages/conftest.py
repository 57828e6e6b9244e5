"""Set-up of the packages' tests: the tools' Python package can be imported."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tools'))
