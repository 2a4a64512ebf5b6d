"""A frame as the kernel shows it to a socket filter: the socket buffer and its context `struct __sk_buff`.

Sources: linux/bpf.h (layout of `struct __sk_buff`), net/core/filter.c (what a socket filter may read, and the helpers
that load packet bytes), net/bpf/test_run.c and net/packet/af_packet.c (where the headers are).
"""

from __future__ import annotations

from typing import NamedTuple

_ETH_HLEN = 14
_VLAN_HLEN = 4
_VLAN_TYPES = (0x8100, 0x88A8)
_VLAN_MAX_DEPTH = 8
_PAGE, _HEADROOM = 4096, 16

#: Bytes in the linear area of a frame that does not fit one page, where its sender says how long the headers are.
TAP_LINEAR = 2048

#: Offsets of negative packet loads (SKF_NET_OFF, SKF_LL_OFF of linux/filter.h).
_NET_OFFSET = -0x100000
_MAC_OFFSET = -0x200000

_HOST, _MULTICAST, _OTHERHOST = 0, 2, 3  # PACKET_ of linux/if_packet.h


class Packet(NamedTuple):
    """One frame in the kernel.

    Attributes:
        frame: its bytes, from the Ethernet header on; the MAC header is at 0.
        data: offset of `skb->data`, from which plain loads count.
        network: offset of the network header.
        linear: how many bytes lie in the linear area, which alone `bpf_skb_load_bytes_relative` sees.
        protocol: EtherType as a number in host order.
        packet_type: PACKET_HOST and the like.
        interface: interface index.
    """

    frame: bytes
    data: int
    network: int
    linear: int
    protocol: int
    packet_type: int
    interface: int = 1

    @classmethod
    def of_test_run(cls, frame: bytes) -> Packet:
        """Return the frame as BPF_PROG_TEST_RUN shows it: data and network header behind 14 bytes, always."""
        return cls(frame, _ETH_HLEN, _ETH_HLEN, len(frame), _protocol_received(frame), _packet_type(frame))

    @classmethod
    def of_tap(cls, frame: bytes, linear: int = TAP_LINEAR) -> Packet:
        """Return the frame as a TAP's steering program gets it from a packet socket.

        The data begins at the MAC header, the network header lies behind all VLAN tags (up to seven). A frame that
        fits one page with 16 bytes of headroom lies in the linear area whole. Of a longer one, `linear` bytes do: those
        that the sender names as headers; 14 where it names none.
        """
        linear = len(frame) if len(frame) < _PAGE - _HEADROOM else max(_ETH_HLEN, min(linear, len(frame)))
        protocol = int.from_bytes(frame[12:14], "big")
        network = _behind_tags(frame) if protocol in _VLAN_TYPES else _ETH_HLEN
        return cls(frame, 0, network, linear, protocol, _HOST)

    def load(self, offset: int, size: int) -> bytes | None:
        """Return what `bpf_skb_load_bytes` copies (offset is an unsigned 32-bit number), None for -EFAULT."""
        if offset > 0x7FFFFFFF:
            return None
        start = self.data + offset
        return self.frame[start : start + size] if start + size <= len(self.frame) else None

    def load_relative(self, offset: int, size: int, from_network: int) -> bytes | None:
        """Return what `bpf_skb_load_bytes_relative` copies: from the MAC header for 0, the network header for 1."""
        if offset > 0xFFFF or from_network > 1:
            return None
        start = (self.network if from_network else 0) + offset
        return self.frame[start : start + size] if start + size <= self.linear else None

    def load_number(self, offset: int, size: int) -> int | None:
        """Return what LD_ABS and LD_IND load (offset is signed, the number big-endian), None where they end the run."""
        if offset >= 0:
            start = self.data + offset
        elif offset >= _NET_OFFSET:
            start = self.network + offset - _NET_OFFSET
        else:
            start = offset - _MAC_OFFSET
        if start < 0 or start + size > len(self.frame):
            return None
        return int.from_bytes(self.frame[start : start + size], "big")


#: Readable fields of the context for a socket filter: offset -> name; each is 4 bytes wide.
FIELDS = {
    0: "len", 4: "pkt_type", 8: "mark", 12: "queue_mapping", 16: "protocol", 20: "vlan_present", 24: "vlan_tci",
    28: "vlan_proto", 32: "priority", 36: "ingress_ifindex", 40: "ifindex", 44: "tc_index", 68: "hash",
    84: "napi_id", 164: "gso_segs", 176: "gso_size",
}  # fmt: skip

#: Fields that the kernel shows to other program types only: (first byte, byte behind, name).
FORBIDDEN = (
    (72, 76, "tc_classid"), (76, 80, "data"), (80, 84, "data_end"), (88, 140, "the socket's addresses"),
    (140, 144, "data_meta"), (144, 152, "flow_keys"), (152, 160, "tstamp"), (160, 164, "wire_len"),
    (168, 176, "sk"), (180, 192, "time stamps"),
)  # fmt: skip

#: The five words that a program may write, `cb`.
CB, CB_END = 48, 68


def field(packet: Packet, offset: int) -> int:
    """Return the 32-bit field of the context that begins at `offset`, one of FIELDS."""
    name = FIELDS[offset]
    if name == "len":
        return len(packet.frame) - packet.data
    if name == "pkt_type":
        return packet.packet_type
    if name == "protocol":
        return int.from_bytes(packet.protocol.to_bytes(2, "big"), "little")
    return packet.interface if name == "ifindex" else 0


def _packet_type(frame: bytes) -> int:
    """Return what eth_type_trans says on the loopback device, whose address and broadcast address are all zeros."""
    if not any(frame[:6]):
        return _HOST
    return _MULTICAST if frame[0] & 1 else _OTHERHOST


def _protocol_received(frame: bytes) -> int:
    """Return what eth_type_trans makes of a received frame: lengths become 802.2 (4) or raw 802.3 (1)."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype >= 0x600:
        return ethertype
    return 1 if frame[14:16] == b"\xff\xff" else 4


def _behind_tags(frame: bytes) -> int:
    """Return the offset behind the VLAN tags; 14, the tag itself, where the kernel gives up."""
    depth = _ETH_HLEN
    for _ in range(_VLAN_MAX_DEPTH - 1):
        if len(frame) < depth + _VLAN_HLEN:
            return _ETH_HLEN
        inner = int.from_bytes(frame[depth + 2 : depth + 4], "big")
        depth += _VLAN_HLEN
        if inner not in _VLAN_TYPES:
            return depth if inner else _ETH_HLEN
    return _ETH_HLEN
