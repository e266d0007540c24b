"""Handlers of SES v1 and v2, one file a noun, v2 above v1."""
