"""The composition root: which adapters and roles exist in this process.

``options`` is what the command line asks for, ``domain`` the domain's objects,
``doors`` the applications and ports that drive them, ``server`` the order in
which all of it starts and ends, ``announce`` what is said about it.
"""

from mailstead.app.options import Options, StartError
from mailstead.app.server import run

__all__ = ["Options", "StartError", "run"]
