"""mailstead: Amazon SES's API and SMTP interface, and the mail system behind them.

The rooms, in the order to ask in (the first that fits holds the code):
``wire`` turns bytes an RFC or a service model defines into values and back;
``mail`` decides about mail; ``store`` speaks SQL and files; ``api`` and ``web``
are called by AWS clients and browsers; ``roles`` listen, connect, wait and loop.
Only ``app`` knows them all.
"""

__version__ = "0.1.0"
