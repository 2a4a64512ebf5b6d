"""Steering programs in eBPF, in the kernel or in our interpreter."""
