"""The command line: ``serve``, ``env``, and nouns with verbs that talk to the running server.

Results go to standard output, words to standard error. Exit 0 is done, 1
refused or wrong, 2 misused. What came from outside is printed with controls
and direction marks escaped.
"""

from mailstead.cli.commands import main

__all__ = ["main"]
