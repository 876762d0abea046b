"""Modules that tests share: clusters, daemons, clients, models; and paths of the checkout."""

from pathlib import Path

#: The checkout, or the unpacked release.
TOP = Path(__file__).resolve().parent.parent.parent
#: Recorded conversations and facts.
DATA = TOP / "test/data"
