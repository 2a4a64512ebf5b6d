"""The state machine of a device: what each step of a driver leads to, under one set of readings.

The readings of both kinds are asked: those about the device, and, where a packet arrives, those about packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.models.device.commands import command
from vnethash.models.device.state import (
    ANY,
    ANYWHERE,
    BELOW,
    CTRL_VQ,
    DROPPED,
    HASH_REPORT,
    HASH_TUNNEL,
    MRG_RXBUF,
    RSS,
    RSS_CONTEXT,
    Arrival,
    Bounds,
    Command,
    Done,
    Looks,
    Negotiate,
    Negotiated,
    Packet,
    Reset,
    State,
    Steering,
    Traits,
    Transition,
)
from vnethash.models.reference import ANY_VALUE, dissect, outcome
from vnethash.models.tunnel import encapsulates
from vnethash.spec import device_readings as r
from vnethash.spec.configuration import Configuration

if TYPE_CHECKING:
    from vnethash.models.device.state import Step
    from vnethash.spec.device_readings import DeviceReadings
    from vnethash.spec.outcome import Outcome
    from vnethash.spec.readings import Readings

#: What requires what, as far as hashing is concerned (FB-9 to FB-11).
_NEEDS = ((RSS, CTRL_VQ), (HASH_TUNNEL, CTRL_VQ), (RSS_CONTEXT, CTRL_VQ), (RSS_CONTEXT, RSS))


def advance(state: State, step: Step, traits: Traits, readings: DeviceReadings, packets: Readings) -> Transition:
    """Return what a step leads to; `readings` are those about the device, `packets` those about packets."""
    if isinstance(step, Negotiate):
        return _negotiate(state, step.features, traits, readings)
    if isinstance(step, Reset):
        return Transition(_reset(state, readings), Done(), "GEN-3")
    if isinstance(step, Command):
        return command(state, step, traits, readings)
    if isinstance(step, Packet):
        found, deciding = _hash_and_queue(state, step, traits, readings, packets)
        answer, clause = _looked_at(found, deciding, state, step, readings)
        return Transition(state, answer, clause, _parts(state, deciding, step, packets))
    return Transition(state, Bounds(traits.offered), "CFG-1")


def _reset(state: State, readings: DeviceReadings) -> State:
    """Forget everything (GEN-3, HCF-5, ARS-D1, INN-D3, CTX-D2), but for what hashing may keep."""
    if not (state.configured or state.rest or state.unsure):
        return State()
    reading = readings.reset_hashing
    if reading == r.ResetHashing.CLEARED:
        return State()
    # A command that ended hashing took the types away, and not the bytes of the key.
    after = State(rest=state.rest, unsure=state.unsure)
    if reading == r.ResetHashing.KEPT and state.configured:
        return after._replace(configured=True, hash_types=state.hash_types, key=state.key)
    return after


def _negotiate(state: State, features: int, traits: Traits, readings: DeviceReadings) -> Transition:
    """Reset, and take a subset of what is offered (GEN-9)."""
    after = _reset(state, readings)
    if features & ~traits.offered:
        return Transition(after, Negotiated(accepted=False), "GEN-9")
    lacking = [one for one, needed in _NEEDS if features & one and not features & needed]
    if features & HASH_TUNNEL and not features & (RSS | HASH_REPORT):
        lacking.append(HASH_TUNNEL)
    if lacking and readings.feature_dependency == r.FeatureDependency.REFUSED:
        return Transition(after, Negotiated(accepted=False), "GEN-9")
    return Transition(after._replace(features=features), Negotiated(accepted=True), "GEN-9")


def _looked_at(
    found: Arrival, clause: str, state: State, step: Packet, readings: DeviceReadings
) -> tuple[Arrival, str]:
    """Return of an arrival what the step looks at, with the fields of the header (HDR-1), and the deciding clause."""
    if not state.has(HASH_REPORT) or not step.looks & Looks.HASH:
        found = found._replace(report=None, value=None)
    if not step.looks & Looks.QUEUE:
        # Whether it arrives at all stays as it is: what may be dropped may be missing.
        found = found._replace(queue=ANYWHERE if found.queue in {DROPPED, ANYWHERE} else None, below=0)
    if step.looks & Looks.SIZE:
        found = found._replace(size=20 if state.has(HASH_REPORT) else 12)
        clause = "HDR-1" if step.looks == Looks.SIZE else clause
    if step.looks & Looks.BUFFERS:
        buffers: int | None = ANY
        if not state.has(MRG_RXBUF):
            buffers = None if readings.num_buffers == r.NumBuffers.UNWRITTEN else 1
        found = found._replace(buffers=buffers)
        clause = "RX-7" if step.looks == Looks.BUFFERS else clause
    if step.looks & Looks.PADDING and state.has(HASH_REPORT):
        found = found._replace(padding=ANY if readings.header_padding == r.HeaderPadding.UNSPECIFIED else 0)
        clause = "HDR-1" if step.looks == Looks.PADDING else clause
    return found, clause


def _parts(state: State, deciding: str, step: Packet, packets: Readings) -> tuple[tuple[str, str], ...]:
    """Return the clauses for what can be wrong with a packet: its queue, its hash, its header.

    `deciding` is the clause by which its hash and its queue were found.
    """
    if not state.configured:
        queue, types, key = "ARS-D1", "HCF-5", "HCF-5"
    elif state.has(RSS):
        queue, types, key = deciding if deciding.startswith("RSS-") else "RSS-D3", "HC-2", "HC-4"
    else:
        queue, types, key = "ARS-D1", "HC-5", "HC-7"
    if state.steering == Steering.AUTOMATIC:
        queue = "ARS-D2"
    if state.has(HASH_TUNNEL) and encapsulates(dissect(step.frame, len(step.frame), packets)):
        types = key = "TUN-2" if state.tunnel_types else "INN-D1"
    return (
        ("queue", queue), ("lost", queue), ("hashed", types), ("unhashed", types), ("report", types), ("value", key),
        ("header", "HDR-1"), ("num-buffers", "RX-7"), ("padding", "HDR-1"),
    )


def _hash_and_queue(
    state: State, step: Packet, traits: Traits, readings: DeviceReadings, packets: Readings
) -> tuple[Arrival, str]:
    """Return report, value and queue of a packet (REP-1, REP-2, RSS-D1 to RSS-D4, ARS-1), and the deciding clause."""
    if state.vague:
        return Arrival(ANY, ANY, ANYWHERE), "CVQ-2"
    if not state.configured:
        queue, below = _without_hash(state, readings)
        clause = "HCF-5" if state.has(HASH_REPORT) else "ARS-D1"
        own = state.has(RSS) or not state.has(CTRL_VQ)
        if own and state.has(HASH_REPORT) and readings.unconfigured_hashing == r.UnconfiguredHashing.OWN:
            return Arrival(ANY, ANY, queue, below), clause
        injected = step.header[12:18].ljust(6, b"\0")
        if any(injected) and state.has(HASH_REPORT) and readings.backend_header == r.BackendHeader.COPIED:
            report = int.from_bytes(injected[4:6], "little")
            return Arrival(report, int.from_bytes(injected[:4], "little"), queue, below), "REP-2"
        value = 0
        if packets.unhashed_value:
            value = ANY
        return Arrival(0, value, queue, below), clause
    hashed = _outcome(state, step.frame, packets)
    value = ANY if hashed.value == ANY_VALUE else hashed.value
    if state.steering != Steering.TABLE:
        queue, below = _without_hash(state, readings)
        return Arrival(hashed.report, value, queue, below), "REP-1" if hashed.report else "REP-2"
    queue = _table_queue(state, hashed, traits, readings)
    return Arrival(hashed.report, value, queue), "RSS-D4" if hashed.report else "RSS-D3"


def _without_hash(state: State, readings: DeviceReadings) -> tuple[int, int]:
    """Return queue and limit where no table steers (MQ-2, ARS-D1, ARS-1, ARS-D2)."""
    if state.steering == Steering.AUTOMATIC:
        return BELOW, state.pairs
    if state.has(RSS) and readings.unconfigured_steering == r.UnconfiguredSteering.ANY_QUEUE:
        return ANYWHERE, 0
    return 0, 0


def _outcome(state: State, frame: bytes, packets: Readings) -> Outcome:
    features = {"HASH_REPORT"}
    if state.steering == Steering.TABLE:
        features.add("RSS")
    if state.has(HASH_TUNNEL):
        features.add("HASH_TUNNEL")
    configuration = Configuration(
        features=frozenset(features), hash_types=state.hash_types, key=state.key, indirection_table=state.table,
        unclassified_queue=state.unclassified, max_tx_vq=state.max_tx_vq, tunnel_types=state.tunnel_types,
    )
    return outcome(frame, configuration, packets)


def _table_queue(state: State, hashed: Outcome, traits: Traits, readings: DeviceReadings) -> int:
    """Return the queue of RSS-D3 or RSS-D4 as the device makes it out."""
    queue = hashed.queue
    if queue >= traits.pairs:
        if not hashed.report:
            return ANYWHERE
        if readings.table_entry == r.TableEntry.DROPPED:
            return DROPPED
        if readings.table_entry == r.TableEntry.UNCLASSIFIED:
            queue = state.unclassified
        elif readings.table_entry == r.TableEntry.MODULO:
            if readings.max_tx_vq == r.MaxTxVq.RECEIVE_TOO and 0 < state.max_tx_vq < traits.pairs:
                return queue % state.max_tx_vq  # so many are the queues of a device that limits them
            queue %= traits.pairs
        else:
            return ANYWHERE
    if queue >= state.max_tx_vq and readings.max_tx_vq == r.MaxTxVq.RECEIVE_TOO:
        return queue % state.max_tx_vq if state.max_tx_vq else ANYWHERE
    if queue >= state.max_tx_vq and readings.max_tx_vq == r.MaxTxVq.DROPPED:
        return DROPPED
    return queue
