"""A frame for people: a dissection, or a dump."""

from __future__ import annotations

from vnethash.conformance.wording import hex_rows


def hexdump(frame: bytes) -> str:
    """Return the bytes in rows of 16, with offsets and characters."""
    return "\n".join(f"{row.offset}  {row.left:<23}  {row.right:<23}  {row.text}" for row in hex_rows(frame))


def decode(frame: bytes) -> str:
    """Return a dissection by scapy, or a dump if it can make nothing of the frame."""
    if len(frame) < 14:
        return hexdump(frame)
    from scapy.contrib import geneve, mpls  # noqa: PLC0415, F401 - slow; layers register when imported
    from scapy.layers import inet6, ipsec, l2, ppp, sctp, vxlan  # noqa: PLC0415, F401

    try:
        shown = l2.Ether(frame).show(dump=True)
    except Exception:  # a dissector of other people meets odd frames on purpose
        return hexdump(frame)
    return shown.rstrip() if isinstance(shown, str) else hexdump(frame)
