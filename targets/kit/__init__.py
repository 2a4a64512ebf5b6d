"""What `vnethash adapter new` writes: one complete adapter a language, with one function to fill in.

`c-lib` is no program but a shared library for the target `lib:PATH.so`; its header goes beside it.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from vnethash.spec.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES = {"python": "adapter.py.in", "c": "adapter.c.in", "c-lib": "library.c.in"}
_ENDINGS = {".py": "python", ".c": "c"}
_HEADER = "vnethash.h"


def template(lang: str) -> str:
    """Return the text of a template."""
    return files(__name__).joinpath(TEMPLATES[lang]).read_text("utf-8")


def header() -> str:
    """Return the text of vnethash.h."""
    return files("vnethash.targets.lib").joinpath(_HEADER).read_text("utf-8")


def write(path: Path, lang: str | None = None, *, force: bool = False) -> list[str]:
    """Write an adapter to `path` and return what to do with it, a line each; raises UsageError."""
    lang = lang or _ENDINGS.get(path.suffix)
    if lang is None:
        raise UsageError(f"{path}: in which language?", hint="--lang python or --lang c, or a name in .py or .c")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint=f"name the file, for example {path / 'adapter'}")
    texts = {path: template(lang)}
    if lang == "c-lib":
        texts[path.with_name(_HEADER)] = header()
    for there, text in texts.items():
        if there.exists() and not force and not (there != path and there.read_bytes() == text.encode()):
            raise UsageError(f"{there} is there already", hint="--force overwrites it")
    try:
        for there, text in texts.items():
            there.write_text(text, "utf-8")
        if lang == "python":
            path.chmod(path.stat().st_mode | 0o111)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    return [*(f"wrote  {there}" for there in texts), *_next(path, lang)]


def _next(path: Path, lang: str) -> list[str]:
    program = {"python": path, "c": path.with_suffix(""), "c-lib": path.with_suffix(".so")}[lang]
    run = str(program) if program.is_absolute() or len(program.parts) > 1 else f"./{program}"
    build = f"build  cc -O2 -Wall -o {program} {path}"
    if lang == "c-lib":
        return [
            build.replace("-Wall", "-Wall -shared -fPIC"),
            f"try    vnethash adapter smoke vnethash adapter serve lib:{run}",
            f"check  vnethash check lib:{run}",
            "then   put your implementation into hash_packet, and what it can into info",
        ]
    return [
        *([build] if lang == "c" else []),
        f"try    vnethash adapter smoke {run}",
        f"check  vnethash check exec:{run}",
        "then   put your implementation into hash_packet, and what it can into the answer to start",
    ]
