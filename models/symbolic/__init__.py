"""The solver twin: the model's own source, translated into terms that z3 answers questions about (docs/proofs.md)."""
