"""Bytes to values and back, as RFCs and service models define them.

No I/O, clock, randomness or logging.
"""
