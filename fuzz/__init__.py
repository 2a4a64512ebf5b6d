"""Campaigns: generators, engines, reduction, causes and the ledger."""
