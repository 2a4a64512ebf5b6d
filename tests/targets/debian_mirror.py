"""A signed mirror of Debian of our own on loopback, with packages that hold next to nothing."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Does what ld.so does: starts the program behind its options.
LOADER = '#!/bin/sh\nshift 2\nexec "$@"\n'
QEMU = "usr/bin/qemu-system-x86_64"


def says(version: str) -> str:
    """Return a program that says to be this QEMU."""
    return f'#!/bin/sh\necho "QEMU emulator version {version} (Test)"\n'


class Mirror:
    """Packages are added, then `publish` writes and signs the lists of a suite."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "mirror"
        self.keyring = folder / "keyring.gpg"
        self.asked: list[str] = []
        self._home = folder / "gnupg"
        self._home.mkdir(mode=0o700)
        self._packages: dict[str, list[tuple[str, Path]]] = {}
        self._gpg("--quick-gen-key", "mirror@test", "ed25519", "sign", "never")
        self.keyring.write_bytes(self._gpg("--export"))

    def _gpg(self, *arguments: str) -> bytes:
        command = ["gpg", "--batch", "--quiet", "--yes", "--homedir", self._home, "--passphrase", "", *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def end(self) -> None:
        """End the agent that gpg started."""
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "gpg-agent"], check=True)

    def add(self, suite: str, name: str, version: str, files: dict[str, str], depends: str = "") -> Path:
        """Add a package with executable files to a suite."""
        tree = self.root.parent / f"{suite}-{name}"
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
            (tree / path).chmod(0o755)
        architecture = subprocess.run(
            ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
        ).stdout.strip()
        control = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: t <t@test>\n"
        control += (f"Depends: {depends}\n" if depends else "") + "Description: test\n"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(control)
        archive = self.root / "pool" / f"{suite}-{name}.deb"
        archive.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, archive], check=True, capture_output=True)
        self._packages.setdefault(suite, []).append((control, archive))
        self._architecture = architecture
        return archive

    def publish(self, *, signed: bool = True) -> None:
        """Write the lists of all suites."""
        for suite, packages in self._packages.items():
            index = ""
            for control, archive in packages:
                data = archive.read_bytes()
                index += f"{control}Filename: {archive.relative_to(self.root)}\nSize: {len(data)}\n"
                index += f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
            folder = self.root / "dists" / suite
            place = f"main/binary-{self._architecture}/Packages.gz"
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            packed = gzip.compress(index.encode(), mtime=0)
            (folder / place).write_bytes(packed)
            plain = hashlib.sha256(index.encode()).hexdigest()
            later = "NotAutomatic: yes\nButAutomaticUpgrades: yes\n" if "backports" in suite else ""
            release = folder / "Release"
            release.write_text(
                f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\nArchitectures: {self._architecture}\n{later}"
                "Components: main\nDate: Sun, 22 Nov 2026 00:00:00 UTC\nAcquire-By-Hash: no\nSHA256:\n"
                f" {hashlib.sha256(packed).hexdigest()} {len(packed)} {place}\n"
                f" {plain} {len(index)} {place.removesuffix('.gz')}\n"
            )
            (folder / "InRelease").unlink(missing_ok=True)
            if signed:
                self._gpg("--clearsign", "--output", str(folder / "InRelease"), str(release))

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve it on loopback; gives the address. `asked` gathers what was asked for."""
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Keep what was asked for instead."""
                asked.append(os.path.basename(self.path))  # noqa: PTH119 - of an address

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(self.root)))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
