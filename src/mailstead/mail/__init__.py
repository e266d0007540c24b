"""Decides about mail: allows, refuses, routes, counts, schedules.

May await a port; never imports asyncio.
"""
