"""Campaigns for the device's side of configuration: sequences of features, resets, control commands and packets.

How one flows, module by module: `case` is a sequence and its bytes, `commands` takes the data of commands apart,
`mutation` makes sequences, an engine drives them, `subject` puts them to one device and holds its answers against the
state machine (models/device), `examiner` judges what differs, `reducer` makes it small, `signature` names it,
`campaign` ties it together. The ledger, the corpus and what is shown are those of the campaigns with frames.
"""
