"""The adapter protocol, version 1, around an object in Python: used by `plain.py`, `defects.py` and `mixed.py`.

A device is anything with `name`, `configure(config)` (raises ValueError for what it refuses) and `answer(frame)`.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def hello(name: str) -> dict[str, Any]:
    """Return the answer to `start`."""
    return {
        "version": 1,
        "implementation": {"name": name, "version": "1", "language": "python", "homepage": ""},
        "capabilities": {
            "observes": ["queue", "report", "value"],
            "features": ["RSS", "HASH_REPORT"],
            "hash_types": 511,
            "tunnel_types": 0,
            "max_key_size": 255,
            "max_indirection_table_length": 32768,
            "queues": 32768,
        },
    }


def _one(device: Any, packet: Any) -> dict[str, Any]:
    try:
        frame = bytes.fromhex(packet)
    except (TypeError, ValueError):
        return {"error": "packet must be bytes in hex"}
    return dict(device.answer(frame))


def respond(device: Any, request: Any) -> dict[str, Any]:
    """Return the answer to one request; everything that is wrong with it becomes an answer too."""
    if not isinstance(request, dict):
        return {"error": "a request is one JSON object a line"}
    command = request.get("cmd")
    if command == "start":
        return hello(device.name)
    if command == "stop":
        return {}
    sequence = {"seq": request["seq"]} if isinstance(request.get("seq"), int) else {}
    try:
        if command == "configure":
            device.configure(request.get("config"))
            return {**sequence, "ok": True}
        if command == "run":
            packets = request.get("packets")
            if not isinstance(packets, list):
                raise ValueError("packets must be a list")
            return {**sequence, "results": [_one(device, packet) for packet in packets]}
    except ValueError as error:
        return {**sequence, **({"ok": False} if command == "configure" else {}), "error": str(error)}
    return {**sequence, "error": "unknown cmd"}


def serve(device: Any) -> None:
    """Answer requests on stdin until `stop` or its end."""
    for line in sys.stdin.buffer:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        print(json.dumps(respond(device, request), separators=(",", ":")), flush=True)
        if isinstance(request, dict) and request.get("cmd") == "stop":
            return
