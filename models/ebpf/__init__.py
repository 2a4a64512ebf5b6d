"""eBPF programs as data and as a machine."""
