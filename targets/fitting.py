"""How a configuration is fitted to what a target can take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vnethash.spec.configuration import Configuration
    from vnethash.targets.base import Capabilities


def fit(configuration: Configuration, capabilities: Capabilities) -> Configuration | str:
    """Return the configuration as the target can take it, or why it cannot.

    Features that the target does not have are left out; queue numbers beyond its queues are folded onto those it has,
    the last of which is kept for unclassified packets.
    """
    beyond = configuration.hash_types & ~capabilities.hash_types
    if beyond:
        return "the target does not claim all of the hash types"
    if configuration.tunnel_types and "HASH_TUNNEL" not in capabilities.features:
        return "the target does not claim HASH_TUNNEL"
    if configuration.tunnel_types & ~capabilities.tunnel_types:
        return f"the target does not claim tunnel types {configuration.tunnel_types & ~capabilities.tunnel_types:#x}"
    if len(configuration.key) > capabilities.max_key_size:
        return f"the key has {len(configuration.key)} bytes, the target takes {capabilities.max_key_size}"
    if len(configuration.indirection_table) > capabilities.max_indirection_table_length:
        return (
            f"the table has {len(configuration.indirection_table)} entries, the target takes "
            f"{capabilities.max_indirection_table_length}"
        )
    fitted = replace(configuration, features=configuration.features & capabilities.features)
    highest = max((*configuration.indirection_table, configuration.unclassified_queue))
    if highest >= capabilities.queues:
        usable = max(1, capabilities.queues - 1)
        fitted = replace(
            fitted,
            indirection_table=tuple(entry % usable for entry in configuration.indirection_table),
            unclassified_queue=max(0, capabilities.queues - 1),
        )
    if fitted.features & {"RSS", "HASH_REPORT"}:
        return fitted
    return "the target claims neither RSS nor HASH_REPORT"


def is_legal(configuration: Configuration) -> bool:
    """Say whether a driver may send the configuration (RSS-R3), so that a target that claims it must take it."""
    entries = len(configuration.indirection_table)
    return entries & (entries - 1) == 0 and len(configuration.key) == 40 and configuration.hash_types <= 0x1FF
