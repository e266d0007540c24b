"""The doors a browser opens."""
