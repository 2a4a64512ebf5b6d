"""What `vnethash adapter new` writes: one complete adapter a language, with one function to fill in."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from vnethash.spec.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES = {"python": "adapter.py.in", "c": "adapter.c.in"}
_ENDINGS = {".py": "python", ".c": "c"}


def template(lang: str) -> str:
    """Return the text of a template."""
    return files(__name__).joinpath(TEMPLATES[lang]).read_text("utf-8")


def write(path: Path, lang: str | None = None, *, force: bool = False) -> list[str]:
    """Write an adapter to `path` and return what to do with it, a line each; raises UsageError."""
    lang = lang or _ENDINGS.get(path.suffix)
    if lang is None:
        raise UsageError(f"{path}: in which language?", hint="--lang python or --lang c, or a name in .py or .c")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint=f"name the file, for example {path / 'adapter'}")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="--force overwrites it")
    try:
        path.write_text(template(lang), "utf-8")
        if lang == "python":
            path.chmod(path.stat().st_mode | 0o111)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    program = path if lang == "python" else path.with_suffix("")
    run = str(program) if program.is_absolute() or len(program.parts) > 1 else f"./{program}"
    build = [f"build  cc -O2 -Wall -o {program} {path}"] if lang == "c" else []
    return [
        f"wrote  {path}",
        *build,
        f"try    vnethash adapter smoke {run}",
        f"check  vnethash check exec:{run}",
        "then   put your implementation into hash_packet, and what it can into the answer to start",
    ]
