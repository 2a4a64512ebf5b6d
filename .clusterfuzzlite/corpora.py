"""Write for each fuzz target what libFuzzer takes beside it: FOLDER/NAME_seed_corpus.zip, NAME.dict, NAME.options.

    python corpora.py FOLDER

The archives are the same byte by byte each time.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import zipfile
from pathlib import Path

FUZZERS = Path(__file__).with_name("fuzzers")
#: Bytes of the longest input; some files are long before they are anything.
LONGEST = {"ledger_fuzzer": 1 << 17, "object_fuzzer": 1 << 16, "vectors_fuzzer": 1 << 14, "records_fuzzer": 1 << 14}


def names() -> list[str]:
    """Return the names of the fuzz targets."""
    return sorted(path.stem for path in FUZZERS.glob("*_fuzzer.py"))


def write(name: str, folder: Path) -> None:
    """Write the seeds, the dictionary and the options of one target."""
    module = importlib.import_module(name)
    with zipfile.ZipFile(folder / f"{name}_seed_corpus.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for data in dict.fromkeys(module.seeds()):
            archive.writestr(zipfile.ZipInfo(hashlib.sha256(data).hexdigest()[:32]), data)
    lines = [f'"{"".join(f"{chr(92)}x{octet:02x}" for octet in word)}"\n' for word in dict.fromkeys(module.words())]
    (folder / f"{name}.dict").write_text("".join(lines), "ascii")
    options = f"[libfuzzer]\nmax_len = {LONGEST.get(name, 4096)}\ndict = {name}.dict\n"
    (folder / f"{name}.options").write_text(options, "ascii")


def main(folder: Path) -> None:
    """Write all of them."""
    sys.path.insert(0, str(FUZZERS))
    importlib.import_module("harness").counting = False  # type: ignore[attr-defined]
    folder.mkdir(parents=True, exist_ok=True)
    for name in names():
        write(name, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
