"""Campaigns: coverage-guided differential fuzzing that reports causes.

How a campaign flows, module by module: `case` is what is put to targets, `anatomy` finds the headers of a frame,
`mutation` and `seeds` make cases, an engine (`engines`) drives them, `subject` puts them to one target and holds its
answers against the compiled model, `examiner` judges what differs, `reducer` makes it small, `signature` names it,
`ledger` and `corpus` keep everything, `campaign` ties it together, `live` and `page` show it.
"""
