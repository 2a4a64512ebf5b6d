"""What the Linux kernel itself makes of a frame: a witness, no target of the conformance suite."""
