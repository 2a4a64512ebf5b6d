"""Programs that speak the adapter protocol."""
