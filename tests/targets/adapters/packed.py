"""Binary framing by hand, as README.md of targets/exec draws it; the argument names a fault, if any."""

import json
import struct
import sys

from speak import START

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
HEADER = struct.Struct("<BBHIII")
RECORD = struct.Struct("<BBHIiI")
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer


def record(frame):
    what = frame[:1].hex()
    if what == "dd":
        sys.exit("died of it")
    if what == "5c":
        return RECORD.pack(1, 0, 0, 0, 0, 5), b"short"
    if what == "e0":
        return RECORD.pack(2, 0, 0, 0, 0, 4), b"lost"
    if FAULT == "unclaimed":
        return RECORD.pack(0, 7, 9, len(frame), 0, 0), b""
    if FAULT == "unmarked":
        return RECORD.pack(0, 2, 0, len(frame), 5, 0), b""
    if FAULT == "status":
        return RECORD.pack(3, 0, 0, 0, 0, 0), b""
    if FAULT == "shown":
        return RECORD.pack(0, 15, 0, 0, 0, 0), b""
    if FAULT == "queue":
        return RECORD.pack(0, 4, 0, 0, -2, 0), b""
    if FAULT == "outcome-and-skip":
        return RECORD.pack(1, 2, 0, 7, 0, 0), b""
    return RECORD.pack(0, 6, 0, len(frame), frame[-1] if frame else -1, 0), b""


def answer(seq, frames):
    records, messages = zip(*map(record, frames), strict=True) if frames else ((), ())
    body = b"".join(records) + b"".join(messages)
    count, size = len(frames), len(body)
    if FAULT == "seq":
        seq += 1
    if FAULT == "count":
        count += 1
    if FAULT == "size":
        size, body = size + 3, body + b"abc"
    if FAULT == "short":
        size, body = size - 16, body[16:]
    if FAULT == "huge":
        size = 1 << 31
    if FAULT == "rubbish":
        return b"Traceback (most recent call last):\n"
    if FAULT == "json":
        return json.dumps({"seq": seq, "results": [{"value": len(f)} for f in frames]}).encode() + b"\n"
    if FAULT == "error-object":
        return json.dumps({"seq": seq, "error": "out of memory"}).encode() + b"\n"
    return HEADER.pack(0xB2, 2 if FAULT == "version" else 1, 0, seq, count, size) + body


while first := stdin.read(1):
    if first == b"\xb1":
        _, _, _, seq, count, size = HEADER.unpack(first + stdin.read(15))
        body = stdin.read(size)
        lengths = struct.unpack_from(f"<{count}I", body)
        at, frames = 4 * count, []
        for length in lengths:
            frames.append(body[at : at + length])
            at += length
        stdout.write(answer(seq, frames))
    else:
        request = json.loads(first + stdin.readline())
        if request["cmd"] == "start":
            stdout.write(json.dumps({**START, "framing": "binary"}).encode() + b"\n")
        elif request["cmd"] == "configure":
            stdout.write(json.dumps({"seq": request["seq"], "ok": True}).encode() + b"\n")
        else:
            stdout.write(b"{}\n")
            stdout.flush()
            break
    stdout.flush()
