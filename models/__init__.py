"""The executable model of the specification, and what is derived from it."""
