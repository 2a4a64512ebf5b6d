"""eBPF programs as data and as a machine: `Program`, and `Machine(program).run(packet)`."""
