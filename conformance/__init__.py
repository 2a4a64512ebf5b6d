"""Vectors, suites, runner, verdicts and reports."""
