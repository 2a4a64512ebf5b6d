"""`vnethash adapter new|smoke|serve`."""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from vnethash.cli.adapter import adapter
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import UsageError
from vnethash.targets.exec.client import open_exec
from vnethash.targets.kit import template

ADAPTERS = Path(__file__).parents[1] / "targets" / "adapters"
SPEAK = shlex.join([sys.executable, str(ADAPTERS / "speak.py")])


def invoke(*arguments):
    return CliRunner().invoke(adapter, arguments)


def in_a_process(*arguments, **options):
    code = "from vnethash.cli.adapter import adapter; adapter()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False, **options)


class TestNew:
    @pytest.mark.parametrize(("name", "lang"), [("a.py", "python"), ("a.c", "c")])
    def test_writes_an_adapter_and_says_what_next(self, tmp_path, name, lang):
        done = invoke("new", str(tmp_path / name))
        assert done.exit_code == 0
        assert (tmp_path / name).read_text() == template(lang)
        assert f"wrote  {tmp_path / name}" in done.output
        assert "vnethash adapter smoke" in done.output
        assert "vnethash check exec:" in done.output

    def test_overwrites_only_by_force(self, tmp_path):
        path = str(tmp_path / "a.py")
        Path(path).write_text("mine")
        done = invoke("new", path)
        assert isinstance(done.exception, UsageError)
        assert Path(path).read_text() == "mine"
        assert invoke("new", "--force", path).exit_code == 0
        assert Path(path).read_text() == template("python")

    def test_takes_the_language_by_name(self, tmp_path):
        assert invoke("new", "--lang", "c", str(tmp_path / "x")).exit_code == 0
        assert (tmp_path / "x").read_text() == template("c")
        assert invoke("new", "--lang", "rust", str(tmp_path / "y")).exit_code == 2


class TestSmoke:
    def test_of_a_good_adapter(self):
        done = invoke("smoke", SPEAK)
        assert done.exit_code == 0
        lines = done.output.splitlines()
        assert all(line.startswith("ok ") for line in lines[:10])
        assert lines[10] == f"all 10 checks passed; next: vnethash check 'exec:{SPEAK}'"

    @pytest.mark.parametrize("arguments", [[f"exec:{SPEAK}"], shlex.split(SPEAK), ["--", *shlex.split(SPEAK)]])
    def test_takes_the_command_in_any_form(self, arguments):
        assert invoke("smoke", *arguments).exit_code == 0

    def test_passes_options_of_the_command_on(self):
        code = f"import sys; sys.path.insert(0, {str(ADAPTERS)!r}); from speak import speak; speak()"
        assert invoke("smoke", sys.executable, "-c", code).exit_code == 0

    def test_leaves_what_follows_the_command_to_it(self):
        done = invoke("smoke", *shlex.split(SPEAK), "--json")
        assert done.exit_code == 0
        assert done.output.splitlines()[10] == f"all 10 checks passed; next: vnethash check 'exec:{SPEAK} --json'"
        assert invoke("smoke", "--no-such-option", SPEAK).exit_code == 2

    def test_of_a_bad_adapter(self):
        done = invoke("smoke", sys.executable, str(ADAPTERS / "wrong.py"), "too-few")
        assert done.exit_code == 3
        assert "FAIL  answers three frames: " in done.output
        assert "2 results for 3 frames" in done.output
        assert done.output.endswith("3 of 10 checks failed\n")

    def test_of_a_program_that_is_not_there(self):
        done = invoke("smoke", "./no-such-program")
        assert done.exit_code == 3
        assert "FAIL  answers start: exec:./no-such-program: would not start" in done.output
        assert done.output.count("-     ") == 9

    def test_in_json(self):
        done = invoke("smoke", "--json", sys.executable, str(ADAPTERS / "wrong.py"), "too-few")
        assert done.exit_code == 3
        report = json.loads(done.output)
        assert report["ok"] is False
        assert [check["name"] for check in report["checks"]][:2] == ["answers start", "takes a configuration"]
        assert [check["ok"] for check in report["checks"]].count(False) == 3

    @pytest.mark.parametrize("arguments", [["--timeout", "0", SPEAK], [""], ["'"]])
    def test_mistakes_are_mistakes(self, arguments):
        done = invoke("smoke", *arguments)
        assert done.exit_code != 0
        assert isinstance(done.exception, UsageError)

    def test_needs_a_command(self):
        assert invoke("smoke").exit_code == 2


class TestServe:
    @pytest.fixture
    def registry(self, tmp_path):
        """A process in which the registry opens one target, which prints when it should not."""
        script = tmp_path / "serve.py"
        script.write_text(
            "import sys, types\nfrom vnethash.targets.exec.bench import Nothing\n"
            "from vnethash.spec.errors import TargetUnavailable\n"
            "class Chatty(Nothing):\n"
            "    def run(self, frames):\n        print('chat', flush=True)\n        return super().run(frames)\n"
            "    def close(self):\n        print('closed', file=sys.stderr, flush=True)\n"
            "def open_target(name):\n    if name != 'chatty': raise TargetUnavailable(f'{name}: not here')\n"
            "    return Chatty()\n"
            "fake = types.ModuleType('vnethash.targets.registry'); fake.open_target = open_target\n"
            "sys.modules['vnethash.targets.registry'] = fake\n"
            "from vnethash.cli.adapter import adapter\nadapter()\n"
        )
        return [sys.executable, str(script)]

    @pytest.mark.parametrize("options", [[], ["--binary"], ["--validate"]])
    def test_puts_a_target_behind_the_protocol(self, registry, options):
        with open_exec(shlex.join([*registry, "serve", *options, "chatty"]), validate=True) as target:
            target.configure(Configuration())
            assert len(target.run([b"a"] * 500)) == 500
            assert target.binary == ("--binary" in options)
            assert b"chat" in target.stderr()

    def test_closes_the_target(self, registry):
        command = [*registry, "serve", "chatty"]
        done = subprocess.run(command, input=b'{"cmd":"stop"}\n', capture_output=True, check=True)
        assert done.stdout == b"{}\n"
        assert done.stderr == b"closed\n"

    def test_says_what_cannot_be_opened(self, registry):
        done = subprocess.run([*registry, "serve", "qemu"], input=b"", capture_output=True, check=False)
        assert done.returncode != 0
        assert done.stdout == b""
        assert b"qemu: not here" in done.stderr


def test_help_answers_at_once():
    begun = time.monotonic()
    done = in_a_process("--help", text=True)
    assert done.returncode == 0
    assert time.monotonic() - begun < 3
    for name in ("new", "smoke", "serve"):
        assert f"\n  {name} " in done.stdout


def test_nothing_heavy_is_imported_for_help():
    heavy = "[m for m in sys.modules if m.startswith('vnethash.targets') or m == 'msgspec']"
    code = f"import sys, vnethash.cli.adapter; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
