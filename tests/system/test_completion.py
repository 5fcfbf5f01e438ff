"""Completion scripts, loaded into the real shells: every group, verb and option that --help names is offered."""

import shutil
import subprocess

import pytest

from lib import help as said
from lib.paths import program


def script(shell):
    return subprocess.run([program("pawl"), "completion", shell], capture_output=True, text=True, check=True, timeout=30).stdout


def cases():
    """(words before the cursor, the word at it, everything that must be offered)"""
    yield [], "", set(said.pawl_groups())
    verbs = {}
    for group, verb in said.pawl_commands():
        verbs.setdefault(group, set()).add(verb)
        yield [group, *([verb] if verb else [])], "--", {f"--{name}" for name in said.options("pawl", group, *([verb] if verb else []))}
    for group, names in verbs.items():
        if names != {""}:
            yield [group], "", names
            yield ["--profile", "tokens", "--json", group], "", names  # a value is no group
    yield [], "de", {"devices", "deployments"}
    yield ["tokens", "create", "--exp"], "", set()


CASES = list(cases())


def test_cases_are_the_whole_program():
    assert len(CASES) > 60 and len(said.pawl_groups()) >= 14


def test_bash(tmp_path):
    file = tmp_path / "pawl.bash"
    file.write_text(script("bash"), encoding="utf-8")
    lines = [f"source {file}", "complete -p pawl"]
    for before, word, _ in CASES:
        words = " ".join(f"'{text}'" for text in ["pawl", *before, word])
        lines.append(f"COMP_WORDS=({words}); COMP_CWORD={len(before) + 1}; COMPREPLY=(); _pawl pawl; echo \"${{COMPREPLY[*]}}\"")
    done = subprocess.run(["bash", "--norc", "-u"], input="\n".join(lines), capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    said_lines = done.stdout.splitlines()
    assert said_lines[0] == "complete -F _pawl pawl" and len(said_lines) == len(CASES) + 1
    for (before, word, wanted), line in zip(CASES, said_lines[1:], strict=True):
        assert wanted <= set(line.split()), (before, word)


def test_bash_offers_files_and_folders(tmp_path):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a.bin").touch()
    file = tmp_path / "pawl.bash"
    file.write_text(script("bash"), encoding="utf-8")

    def ask(*words):
        quoted = " ".join(f"'{word}'" for word in ["pawl", *words])
        text = f"source {file}; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _pawl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return set(subprocess.run(["bash", "--norc", "-c", text], capture_output=True, text=True, check=True, timeout=30, cwd=tmp_path).stdout.splitlines())

    assert ask("release", "publish", "a") == {"a folder", "a.bin"}
    assert ask("keys", "list", "a") == {"a folder"}
    assert ask("devices", "list", "--ca", "a") == {"a folder", "a.bin"}
    assert ask("tokens", "create", "--name", "a") == {""}


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
def test_fish(tmp_path):
    file = tmp_path / "pawl.fish"
    file.write_text(script("fish"), encoding="utf-8")
    assert subprocess.run(["fish", "-n", file], capture_output=True, check=False, timeout=30).returncode == 0
    lines = [f"source {file}"]
    for number, (before, word, _) in enumerate(CASES):
        lines.append(f"echo @{number}; complete -C '{' '.join(['pawl', *before, word])}'")
    done = subprocess.run(["fish", "--no-config", "-c", "\n".join(lines)], capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    for number, block in enumerate(done.stdout.split("@")[1:]):
        offered = {line.split("\t")[0] for line in block.splitlines()[1:]}
        before, word, wanted = CASES[number]
        assert wanted <= offered, (before, word, wanted - offered)


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_zsh(tmp_path):
    """Loaded as compinit loads it; what it offers is caught where it is handed to zsh."""
    (tmp_path / "_pawl").write_text(script("zsh"), encoding="utf-8")
    assert subprocess.run(["zsh", "-n", tmp_path / "_pawl"], capture_output=True, check=False, timeout=30).returncode == 0
    lines = ["compdef() { echo compdef \"$@\" }", f"source {tmp_path}/_pawl", "compadd() { shift; print -r -- \"$@\" }",
             "_describe() { print -r -- ${${(P)2}%%:*} }", "_files() { print -r -- files \"$@\" }"]
    for number, (before, word, _) in enumerate(CASES):
        words = " ".join(f"'{text}'" for text in ["pawl", *before, word])
        lines.append(f"print @{number}; words=({words}); CURRENT={len(before) + 2}; _pawl")
    done = subprocess.run(["zsh", "-f"], input="\n".join(lines), capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    first, *blocks = done.stdout.split("@")
    assert first.strip() == "compdef _pawl pawl" and len(blocks) == len(CASES)
    for block, (before, word, wanted) in zip(blocks, CASES, strict=True):
        offered = set(block.split()[1:])
        if word == "de":
            wanted = set()  # zsh itself narrows
        assert wanted <= offered, (before, word, wanted - offered)


def test_no_such_shell():
    done = subprocess.run([program("pawl"), "completion", "tcsh"], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2 and "bash, zsh or fish" in done.stderr
