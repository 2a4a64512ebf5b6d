"""The control suite: what a driver may do to a device, step by step, and what the text makes of the answers."""
