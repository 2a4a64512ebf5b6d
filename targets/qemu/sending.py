"""Many packets to a socket in one system call, sendmmsg(2), without an object of ctypes for each."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING

from vnethash.spec.errors import TargetError, TargetUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Packets in one call.
MOST = 512
_MESSAGE = struct.Struct("@PI4xPNPNi4xI4x")  # struct mmsghdr
_PART = struct.calcsize("@PN")  # struct iovec


class Sender:
    """The message headers for one socket; raises TargetUnavailable where the C library has no sendmmsg."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        try:
            self._call = ctypes.CDLL(None, use_errno=True).sendmmsg
        except AttributeError:
            raise TargetUnavailable("the C library has no sendmmsg") from None
        self._parts = array("Q", bytes(_PART * MOST))
        begin = self._parts.buffer_info()[0]
        headers = [_MESSAGE.pack(0, 0, begin + _PART * index, 1, 0, 0, 0, 0) for index in range(MOST)]
        self._messages = ctypes.create_string_buffer(b"".join(headers))
        self._address = ctypes.addressof(self._messages)

    def send(self, frames: Sequence[bytes], header: bytes) -> int:
        """Send `header` and a frame for each of at most 512 frames, as far as there is room; return how many.

        Raises TargetError if the first one failed for another reason.
        """
        if not frames:
            return 0
        data = header.join([b"", *frames])
        size = len(header)
        lengths = [size + len(frame) for frame in frames]
        begin = _address_of(data)
        parts = self._parts
        count = len(lengths)
        parts[0 : 2 * count : 2] = array("Q", accumulate(lengths[:-1], initial=begin))
        parts[1 : 2 * count : 2] = array("Q", lengths)
        sent: int = self._call(self._descriptor, ctypes.c_void_p(self._address), count, socket.MSG_DONTWAIT)
        if sent < 0:
            number = ctypes.get_errno()
            if number not in {errno.EAGAIN, errno.ENOBUFS}:
                raise TargetError(f"a frame of {len(frames[0])} bytes cannot be put in: {os.strerror(number)}")
            return 0
        return sent


def _address_of(data: bytes) -> int:
    address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value
    assert address is not None
    return address
