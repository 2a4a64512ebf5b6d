"""An implementation of the `ndis` dialect: where Microsoft's RSS text (rss-hashing-types.md) differs, it is followed.

Run it as an adapter: `python ndis.py`. Self-contained, standard library only; written from the Microsoft text, virtio
1.4 section 5.1.6.4.3 and the RFCs, independently of vnethash's model. Its choices, by question (`spec.md`, section 3):

| question | choice | why |
|---|---|---|
| A-75 A-77 | any IPv4 fragment, the first too, is hashed by address only; IPv4 off: no hash | MS-T6 |
| A-78 | a fragment is MF or offset != 0 (DF and the reserved bit are neither) | MS-T6 |
| A-81 A-83 | IHL < 5, IHL beyond the packet: no hash | MS-T3, MS-T7 |
| A-82 | IPv4 options are skipped by IHL; what is in them is not looked at | MS-T7 |
| A-90 A-96 | no complete TCP/UDP header, or its type is off: by address | MS-T8 |
| A-105 | unknown next header: upper layer, by address | MS-T13 |
| A-107 | a packet with any extension header is an EX packet, with plain addresses where it holds no others | MS-T2 |
| A-110 | so is an IPv6 packet without extension header | MS-T11, MS-T12 |
| A-111 | there too an EX bit gives the EX label: TCP_EX > TCPv6, UDP_EX > UDPv6, IP_EX > IPv6 | MS-T11, MS-T14 |
| A-112 | transport first: TCP_EX, TCPv6, UDP_EX, UDPv6, then IP_EX, IPv6 (NDIS, Intel; MS-T2 alone is open) | MS-T2 |
| A-113 | UDP packet, UDP_EX and IP_EX off: falls to UDPv6, then IPv6 (as MS-T8 says for IPv4) | MS-T8, MS-T13 |
| A-114 | all EX off: extension headers are skipped, TCPv6 over the header's addresses, report 5 | MS-T9 |
| A-115 A-116 A-148 | a chain that cannot be skipped (a header does not fit): no hash, whatever is enabled | MS-T9 |
| A-118 | no limits | |
| A-123 | a Home Address option of another length is ignored, the first one of length 16 counts | |
| A-124 | an option of a Destination Options header that runs past it: no hash, whatever is enabled | MS-T3, MS-T9 |
| A-128 A-129 | type 2 with Hdr Ext Len 2 is taken, whatever Segments Left | |
| A-141 A-145 | a fragmented IPv6 packet, the first fragment too, is hashed by address only | MS-T10 |
| A-143 | an atomic fragment is not fragmented: by ports | MS-T10 |
| A-136 A-137 A-144 | options are read behind the Fragment header of a first fragment; later ones end at it | |

All else is as at the top of `literal.c`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

#: (hash type, report, transport, EX addresses)
TCPV4, UDPV4, ONLY4 = (0x002, 2, 6, False), (0x004, 3, 17, False), (0x001, 1, 0, False)
TCPV6, UDPV6, ONLY6 = (0x010, 5, 6, False), (0x020, 6, 17, False), (0x008, 4, 0, False)
TCP_EX, UDP_EX, ONLY_EX = (0x080, 8, 6, True), (0x100, 9, 17, True), (0x040, 7, 0, True)

ORDER_IPV4 = (TCPV4, UDPV4, ONLY4)
ORDER_IPV6 = (TCP_EX, TCPV6, UDP_EX, UDPV6, ONLY_EX, ONLY6)

WALKED = {0, 43, 44, 51, 60, 135, 139, 140, 253, 254}  # ESP (50) is one too, but nothing behind it can be read


def short(data: memoryview, at: int) -> int:
    """Read 16 bits."""
    return int.from_bytes(data[at : at + 2], "big")


def after_tags(frame: memoryview) -> tuple[int, memoryview]:
    """Return EtherType and network packet."""
    rest = frame[12:]
    while len(rest) >= 4 and short(rest, 0) in (0x8100, 0x88A8):
        rest = rest[4:]
    return (short(rest, 0), rest[2:]) if len(rest) >= 2 else (0, rest)


def transport(protocol: int, data: memoryview) -> tuple[int, bytes]:
    """Return protocol and ports of a complete TCP or UDP header, (0, nothing) for anything else."""
    needed = {6: 20, 17: 8}.get(protocol)
    return (protocol, bytes(data[:4])) if needed and len(data) >= needed else (0, b"")


def options(header: memoryview) -> list[tuple[int, bytes]] | None:
    """Return the options of a header as (type, data), None if one of them does not fit."""
    found, body = [], header[2:]
    while body:
        if body[0] == 0:
            body = body[1:]
        elif len(body) < 2 or len(body) - 2 < body[1]:
            return None
        else:
            found.append((body[0], bytes(body[2 : 2 + body[1]])))
            body = body[2 + body[1] :]
    return found


def plan_ipv4(packet: memoryview) -> tuple[Any, ...] | None:
    """Return (order, transport, ports, source, destination, EX source, EX destination) or None: no hash."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    header = packet[0] % 16 * 4
    packet = packet[: short(packet, 2)]
    if not 20 <= header <= len(packet):
        return None
    source, destination = bytes(packet[12:16]), bytes(packet[16:20])
    fragmented = short(packet, 6) & 0x3FFF
    kind, ports = (0, b"") if fragmented else transport(packet[9], packet[header:])
    return ORDER_IPV4, kind, ports, source, destination, source, destination


def plan_ipv6(packet: memoryview) -> tuple[Any, ...] | None:
    """Return the same for IPv6."""
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return None
    source, destination = bytes(packet[8:24]), bytes(packet[24:40])
    following, rest = packet[6], packet[40:]
    if short(packet, 4):
        rest = rest[: short(packet, 4)]
    homes: list[bytes] = []
    routes: list[bytes] = []
    fragmented = False
    while following in WALKED:
        if len(rest) < 8:
            return None
        size = {44: 8, 51: 4 * rest[1] + 8}.get(following, 8 * rest[1] + 8)
        if size > len(rest):
            return None
        header, kind = rest[:size], following
        following, rest = header[0], rest[size:]
        if kind == 44:
            fragmented |= bool(short(header, 2) & 0xFFF9)
            if short(header, 2) & 0xFFF8:
                break
        elif kind == 60:
            listed = options(header)
            if listed is None:
                return None
            homes += [data for option, data in listed if option == 0xC9 and len(data) == 16]
        elif kind == 43 and header[1] == header[2] == 2:
            routes.append(bytes(header[8:24]))
    kind, ports = (0, b"") if fragmented else transport(following, rest)
    return ORDER_IPV6, kind, ports, source, destination, (homes or [source])[0], (routes or [destination])[0]


class Device:
    """The configured receive side."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.types = int(config["hash_types"])
        self.table = [int(queue) for queue in config["indirection_table"]]
        self.unclassified = int(config["unclassified_queue"])
        self.steers = "RSS" in config["features"]
        self.hashes = self.steers or "HASH_REPORT" in config["features"]
        if not self.table or config.get("tunnel_types"):
            raise ValueError("an indirection table is needed, tunnels are not supported")
        windows = int.from_bytes(bytes.fromhex(config["key"])[:40].ljust(40, b"\0"), "big")
        # one table of 256 values for each place of the input
        self.columns = []
        for place in range(36):
            bits = [windows >> (288 - 8 * place - bit) & 0xFFFFFFFF for bit in range(8)]
            column = [0]
            for value in reversed(bits):  # the lowest bit of the byte first
                column += [entry ^ value for entry in column]
            self.columns.append(column)

    def hash(self, data: bytes) -> int:
        """Return the Toeplitz hash."""
        value = 0
        for column, byte in zip(self.columns, data, strict=False):
            value ^= column[byte]
        return value

    def receive(self, frame: bytes) -> dict[str, int]:
        """Return the result for one frame."""
        kind, packet = after_tags(memoryview(frame))
        plan = {0x0800: plan_ipv4, 0x86DD: plan_ipv6}.get(kind, lambda _: None)(packet)
        result = {"report": 0, "value": 0, "queue": self.unclassified}
        if plan and self.hashes:
            order, present, ports, source, destination, home, route = plan
            for bit, report, needed, overrides in order:
                if self.types & bit and needed in (0, present):
                    addresses = home + route if overrides else source + destination
                    value = self.hash(addresses + (ports if needed else b""))
                    result = {"report": report, "value": value, "queue": self.table[value & (len(self.table) - 1)]}
                    break
        if not self.steers:
            del result["queue"]
        return result


START = {
    "version": 1,
    "implementation": {"name": "ndis-py", "version": "1", "language": "python", "homepage": ""},
    "capabilities": {
        "observes": ["queue", "report", "value"], "features": ["RSS", "HASH_REPORT"], "hash_types": 511,
        "tunnel_types": 0, "max_key_size": 40, "max_indirection_table_length": 128, "queues": 1024,
    },
}  # fmt: skip


def packet_result(device: Device, packet: Any) -> dict[str, Any]:
    """Return the result for one entry of `packets`."""
    try:
        return dict(device.receive(bytes.fromhex(packet)))
    except (TypeError, ValueError):
        return {"error": "packet must be bytes in hex"}


def main() -> None:
    """Speak the protocol."""
    device: Device | None = None
    for line in sys.stdin.buffer:
        answer: dict[str, Any]
        try:
            request = json.loads(line)
            sequence = {name: request[name] for name in ("seq",) if name in request}
            match request["cmd"]:
                case "start":
                    answer = START
                case "stop":
                    print("{}", flush=True)
                    return
                case "configure":
                    try:
                        device = Device(request["config"])
                        answer = {**sequence, "ok": True}
                    except (KeyError, TypeError, ValueError) as error:
                        answer = {**sequence, "ok": False, "error": f"config: {error!r}"}
                case "run" if device:
                    current = device
                    answer = {**sequence, "results": [packet_result(current, packet) for packet in request["packets"]]}
                case _:
                    answer = {**sequence, "error": "unknown cmd, or run before configure"}
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            answer = {"error": f"bad request: {error!r}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
