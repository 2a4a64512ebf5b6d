"""An implementation that mixes readings: each answer is allowed by some reading, no one set of them explains all.

Run it as an adapter: `python mixed.py [PART]...`, PART of `MIXTURES`; without one it does all of them. Else `plain.py`.
"""

from __future__ import annotations

import sys

from plain import FRAGMENT, TCP, Packet, Plain, be16

#: name -> (what it mixes, the questions whose readings it mixes)
MIXTURES = {
    "first-fragment": ("IPv4 first fragments by ports when the source port is even, else by address", ("A-75",)),
    "atomic-fragment": ("atomic IPv6 fragments by address over TCP, by ports over UDP", ("A-143",)),
}


class Mixed(Plain):
    """Plain, but of two minds."""

    name = "mixed"

    def __init__(self, parts: set[str]) -> None:
        super().__init__()
        self.parts = parts
        self.atomic = False

    def ipv4(self, data: bytes) -> Packet | None:
        """Forget the ports of a first fragment if the source port is odd."""
        packet = super().ipv4(data)
        if packet and packet.transport and "first-fragment" in self.parts:
            more_fragments = be16(data, 6) & 0x2000
            if more_fragments and packet.ports[1] & 1:
                packet.transport = 0
        return packet

    def ipv6(self, data: bytes) -> Packet | None:
        """Forget the ports of an atomic fragment over TCP."""
        self.atomic = False
        packet = super().ipv6(data)
        if packet and packet.transport == TCP and self.atomic and "atomic-fragment" in self.parts:
            packet.transport = 0
        return packet

    def addresses(self, packet: Packet, kind: int, header: bytes) -> None:
        """Note an atomic fragment on the way."""
        super().addresses(packet, kind, header)
        if kind == FRAGMENT and not be16(header, 2) & 1:
            self.atomic = True


def main(arguments: list[str]) -> int:
    """Serve the mixtures that are named."""
    if not set(arguments) <= set(MIXTURES):
        print(f"usage: mixed.py [PART]...; PART is one of: {' '.join(MIXTURES)}", file=sys.stderr)
        return 2
    from loop import serve

    serve(Mixed(set(arguments) or set(MIXTURES)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
