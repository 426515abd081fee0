"""What the tests of the workshop kit share: its tools can be imported."""

import sys

from repository import ROOT

sys.path.insert(0, str(ROOT / "tools" / "workshop"))
