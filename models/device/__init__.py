"""The device's side of configuration as a state machine: features, reset, control commands, what packets then show."""
