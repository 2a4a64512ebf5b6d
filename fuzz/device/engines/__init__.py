"""What drives a campaign of sequences: as the engines for frames (fuzz/engines), an engine is a function `run`."""
