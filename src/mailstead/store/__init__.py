"""Adapters of the Store and Blobs ports: SQL and files."""
