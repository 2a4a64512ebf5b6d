"""Steering programs on a real TAP with many queues, in a network namespace of our own."""
