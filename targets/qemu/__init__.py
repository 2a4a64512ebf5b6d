"""The virtio-net device of an unmodified QEMU, driven as a driver would drive it, without a guest."""
