"""The doors AWS clients and local tools call."""
