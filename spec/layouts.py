"""The configuration space, the packet header and the frame of control commands, byte by byte.

Sources: CFG-1, HDR-1, RXB-3, CVQ-1 (virtio 1.4 sections 5.1.4, 5.1.9, 5.1.9.3.1, 5.1.9.5). What control commands
carry is in `spec/commands.py`. Every class is a frozen value with `encode` and `decode`; `decode` wants the exact
length and raises FormatError naming structure, field and offset; `strict=False` lets reserved bits and values that
no driver or device may send pass, so that they can be looked at.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Self, cast

from vnethash.spec.constants import ACK_ERR, ACK_OK
from vnethash.spec.errors import FormatError
from vnethash.spec.wire import Structure, check_end, check_zero, fault

if TYPE_CHECKING:
    from collections.abc import Iterable

NET_CONFIG = Structure(
    "virtio_net_config",
    ("mac", "6s"),
    ("status", "H"),
    ("max_virtqueue_pairs", "H"),
    ("mtu", "H"),
    ("speed", "I"),
    ("duplex", "B"),
    ("rss_max_key_size", "B"),
    ("rss_max_indirection_table_length", "H"),
    ("supported_hash_types", "I"),
    ("supported_tunnel_types", "I"),
)

NET_HEADER = Structure(
    "virtio_net_hdr",
    ("flags", "B"),
    ("gso_type", "B"),
    ("hdr_len", "H"),
    ("gso_size", "H"),
    ("csum_start", "H"),
    ("csum_offset", "H"),
    ("num_buffers", "H"),
    ("hash_value", "I"),
    ("hash_report", "H"),
    ("padding_reserved", "H"),
    ("outer_th_offset", "H"),
    ("inner_nh_offset", "H"),
    ("outer_nh_offset", "H"),
    ("resource_id", "I"),
    ("resource_type", "H"),
)

#: Sizes that the header can have (RXB-3).
NET_HEADER_SIZES = (12, 20, 24, 32)

CONTROL_HEADER = Structure("virtio_net_ctrl", ("class", "B"), ("command", "B"))
CONTROL_ACK = Structure("virtio_net_ctrl ack", ("ack", "B"))


@dataclass(frozen=True, slots=True)
class NetConfig:
    """The device configuration space, `virtio_net_config` (CFG-1 to CFG-8).

    ```
    offset size field
         0    6 mac
         6    2 status
         8    2 max_virtqueue_pairs                MQ or RSS
        10    2 mtu
        12    4 speed
        16    1 duplex
        17    1 rss_max_key_size                   RSS or HASH_REPORT
        18    2 rss_max_indirection_table_length   RSS
        20    4 supported_hash_types               RSS or HASH_REPORT
        24    4 supported_tunnel_types             HASH_TUNNEL
        28
    ```

    A field whose feature is not offered keeps its place.
    """

    mac: bytes = bytes(6)
    status: int = 0
    max_virtqueue_pairs: int = 1
    mtu: int = 0
    speed: int = 0
    duplex: int = 0
    rss_max_key_size: int = 0
    rss_max_indirection_table_length: int = 0
    supported_hash_types: int = 0
    supported_tunnel_types: int = 0

    def encode(self) -> bytes:
        """Return the 28 bytes; raises FormatError for a value that does not fit its field."""
        return NET_CONFIG.pack(astuple(self))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read 28 bytes; nothing in them is reserved."""
        values = NET_CONFIG.unpack(data)
        check_end(data, NET_CONFIG.size, NET_CONFIG.name)
        return cls(cast("bytes", values[0]), *cast("tuple[int, ...]", values[1:]))


@dataclass(frozen=True, slots=True)
class NetHeader:
    """The header in front of a packet, `virtio_net_hdr`, as a driver sees it on receive (HDR-1, RXB-3).

    ```
    offset size field
         0    1 flags
         1    1 gso_type
         2    2 hdr_len
         4    2 gso_size
         6    2 csum_start
         8    2 csum_offset
        10    2 num_buffers
        12    4 hash_value         HASH_REPORT
        16    2 hash_report        HASH_REPORT
        18    2 padding_reserved   HASH_REPORT
        20    2 outer_th_offset    HOST_UDP_TUNNEL_GSO or GUEST_UDP_TUNNEL_GSO
        22    2 inner_nh_offset    HOST_UDP_TUNNEL_GSO or GUEST_UDP_TUNNEL_GSO
        24    2 outer_nh_offset    OUT_NET_HEADER
        26    4 resource_id        IPSEC; with OUT_NET_HEADER alone, padding
        30    2 resource_type      IPSEC; with OUT_NET_HEADER alone, padding
        32
    ```

    `size` is 12, 20, 24 or 32; offsets never move, and fields from `size` on are 0.
    """

    size: int = 20
    flags: int = 0
    gso_type: int = 0
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0
    num_buffers: int = 1
    hash_value: int = 0
    hash_report: int = 0
    padding_reserved: int = 0
    outer_th_offset: int = 0
    inner_nh_offset: int = 0
    outer_nh_offset: int = 0
    resource_id: int = 0
    resource_type: int = 0

    def encode(self) -> bytes:
        """Return `size` bytes; raises FormatError if a field behind `size` is not 0 or a value does not fit."""
        _check_header_size(self.size)
        values: tuple[int, ...] = astuple(self)[1:]
        whole = NET_HEADER.pack(values)
        for (field, _), value in zip(NET_HEADER.fields, values, strict=True):
            if value and NET_HEADER.offsets[field] >= self.size:
                text = f"is {value}, but a header of {self.size} bytes does not reach it"
                raise fault(NET_HEADER.name, field, NET_HEADER.offsets[field], text)
        return whole[: self.size]

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """Read a header of 12, 20, 24 or 32 bytes; with `strict` padding_reserved must be 0."""
        _check_header_size(len(data))
        values = cast("tuple[int, ...]", NET_HEADER.unpack(data.ljust(NET_HEADER.size, b"\0")))
        header = cls(len(data), *values)
        if strict:
            offset = NET_HEADER.offsets["padding_reserved"]
            check_zero(header.padding_reserved, NET_HEADER.name, "padding_reserved", offset, "HDR-1")
        return header


def net_header_size(features: Iterable[str]) -> int:
    """Return the size of `virtio_net_hdr` for negotiated features, by name (RXB-3).

    GUEST_UDP_TUNNEL_GSO counts like its HOST_ companion: RXB-3 leaves it out, but HDR-1 puts fields behind it, and a
    header cannot be shorter than its fields.
    """
    names = set(features)
    if names & {"OUT_NET_HEADER", "IPSEC"}:
        return 32
    if names & {"HOST_UDP_TUNNEL_GSO", "GUEST_UDP_TUNNEL_GSO"}:
        return 24
    return 20 if "HASH_REPORT" in names else 12


def _check_header_size(size: int) -> None:
    if size not in NET_HEADER_SIZES:
        sizes = ", ".join(str(known) for known in NET_HEADER_SIZES)
        raise FormatError(f"{NET_HEADER.name}: has {size} bytes, a header has one of {sizes} (RXB-3)")


@dataclass(frozen=True, slots=True)
class ControlHeader:
    """Class and command, the first two bytes of `virtio_net_ctrl` (CVQ-1); the command's own data follow.

    ```
    offset size field
         0    1 class
         1    1 command
         2
    ```
    """

    command_class: int
    command: int

    def encode(self) -> bytes:
        """Return the 2 bytes."""
        return CONTROL_HEADER.pack((self.command_class, self.command))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read 2 bytes."""
        values = cast("tuple[int, ...]", CONTROL_HEADER.unpack(data))
        check_end(data, CONTROL_HEADER.size, CONTROL_HEADER.name)
        return cls(*values)


@dataclass(frozen=True, slots=True)
class ControlAck:
    """The byte with which the device answers a control command (CVQ-1, CVQ-2).

    ```
    offset size field
         0    1 ack      VIRTIO_NET_OK 0, VIRTIO_NET_ERR 1
         1
    ```
    """

    ack: int = ACK_OK

    @property
    def ok(self) -> bool:
        """Whether the device took the command."""
        return self.ack == ACK_OK

    def encode(self) -> bytes:
        """Return the 1 byte."""
        return CONTROL_ACK.pack((self.ack,))

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """Read 1 byte; with `strict` only the two values that the specification defines."""
        (ack,) = cast("tuple[int, ...]", CONTROL_ACK.unpack(data))
        check_end(data, CONTROL_ACK.size, CONTROL_ACK.name)
        if strict and ack not in {ACK_OK, ACK_ERR}:
            raise fault(CONTROL_ACK.name, "ack", 0, f"expected {ACK_OK} or {ACK_ERR} (CVQ-1), got {ack}")
        return cls(ack)
