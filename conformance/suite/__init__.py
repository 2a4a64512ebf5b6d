"""The static suite."""
