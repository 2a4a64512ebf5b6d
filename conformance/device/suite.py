"""The control suite, made for one device: what it offers and how much of it decides what can be asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vnethash.conformance.device import hashing, negotiation, receive_side, unknown
from vnethash.conformance.device.script import Kit, Script
from vnethash.models.device.state import Command, Negotiate
from vnethash.spec.errors import VnethashError

if TYPE_CHECKING:
    from vnethash.models.device.state import Traits


def control_suite(traits: Traits) -> list[Script]:
    """Return all scripts in order, those that a device cannot be asked with the reason."""
    kit = Kit(traits)
    scripts = [
        _skipped(script, kit)
        for area in (negotiation, receive_side, hashing, unknown)
        for script in area.scripts(kit)
    ]
    names = [script.name for script in scripts]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise VnethashError(f"conformance/device: script {twice} is there twice")
    return scripts


def _skipped(script: Script, kit: Kit) -> Script:
    """Say why a script cannot be put to a device: features that it lacks, or commands without a control queue."""
    features = 0
    for step in script.steps:
        if isinstance(step, Negotiate):
            features |= step.features
    reason = script.skip or kit.lacking(features)
    if not reason and script.base and kit.pairs < 2:
        reason = "the device has one pair of queues" if "queue" in script.comment.lower() else ""
    if not reason and any(isinstance(step, Command) for step in script.steps) and not features & kit.basis:
        reason = "there is no control queue"
    return replace(script, skip=reason)
