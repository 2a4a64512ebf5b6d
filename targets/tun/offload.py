"""Which frames can be handed to the kernel as large frames of segmentation offload, and the header that says so.

Sources: virtio 1.2 section 5.1.6 (struct virtio_net_hdr), include/linux/virtio_net.h of Linux (what it checks).
"""

from __future__ import annotations

import struct
from functools import lru_cache

from vnethash.models.allowed import dialect
from vnethash.models.reference import dissect

_NEEDS_CSUM = 1
_TCPV4, _TCPV6, _UDP_L4 = 1, 4, 5
_TCP, _UDP = 6, 17
#: Where the checksum is in the header.
_CHECKSUM = {_TCP: 16, _UDP: 6}


@lru_cache(maxsize=4096)
def gso_header(frame: bytes) -> bytes:
    """Return struct virtio_net_hdr (10 bytes) for a frame that is to be cut into at least two segments.

    Empty where the frame is no whole packet of TCP or UDP with at least two bytes of payload.
    """
    packet = dissect(frame, len(frame), dialect("literal"))
    if packet.transport not in _CHECKSUM or packet.fragment or packet.refused:
        return b""
    start = packet.l4
    if packet.transport == _TCP:
        if start + 20 > packet.end:
            return b""
        behind, kind = start + (frame[start + 12] >> 4) * 4, _TCPV4 if packet.version == 4 else _TCPV6
    else:
        behind, kind = start + 8, _UDP_L4
    size = (packet.end - behind + 1) // 2
    if behind < start + 8 or size < 1 or packet.end - behind < 2:
        return b""
    return struct.pack("=BBHHHH", _NEEDS_CSUM, kind, behind, size, start, _CHECKSUM[packet.transport])
