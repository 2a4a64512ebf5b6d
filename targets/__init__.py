"""Adapters: how to put a frame into an implementation and see what comes out."""
