"""The specification as data: clauses, constants, layouts, questions and their readings."""
