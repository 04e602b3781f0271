"""What a command does not take from where it was started: modules of the working folder, a notebook's backend, a terminal's letters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from replications.errors import InputError, ReplicationError
from replications.paths import ROOT
from replications.search_path import named_last, without_working_folder
from replications.startup import cache_home, first_in_list, module_search, user_name
from tests.workflow.conftest import environment

RAN = "raise SystemExit('a module of the working folder ran')\n"


def command(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command of the suite on the committed reference, from any folder."""
    return subprocess.run(
        [sys.executable, "-m", "replications", *arguments],
        cwd=cwd,
        env=environment(**({"PYTHONPATH": str(ROOT)} | variables)),
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def cluttered(tmp_path: Path) -> Path:
    """A working folder with files named like modules of the suite and of the standard library."""
    for name in ("report", "queue", "workflow", "random", "difflib", "tempfile", "typer"):
        (tmp_path / f"{name}.py").write_text(RAN)
    return tmp_path


def test_a_command_takes_no_module_from_the_working_folder(cluttered: Path) -> None:
    done = command("list", cwd=cluttered)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_process_that_a_command_starts_takes_none_either(cluttered: Path) -> None:
    program = "import queue, random; import report, workflow; print(report.__file__, workflow.__file__)"
    variables = os.environ | module_search({"PYTHONPATH": f":{cluttered.parent}:"})
    done = subprocess.run([sys.executable, "-c", program], cwd=cluttered, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(ROOT / "report" / "__init__.py"), str(ROOT / "workflow" / "__init__.py")]


def test_packages_of_an_environment_module_do_not_replace_the_locked_ones(tmp_path: Path) -> None:
    for name in ("yaml", "pydantic", "typer", "difflib"):
        (tmp_path / f"{name}.py").write_text(RAN)
    done = command("list", PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert (done.returncode, done.stderr) == (0, b"")
    assert named_last([str(ROOT), "/module", "/locked"], ["/module", str(ROOT), ""]) == [str(ROOT), "/locked", "/module"]


def test_the_suites_own_folder_stays_where_modules_are_found() -> None:
    assert without_working_folder(["", "/lib"], str(ROOT)) == ["", "/lib"]
    assert without_working_folder(["", "/work", str(ROOT), "/lib"], "/work") == [str(ROOT), "/lib"]


def test_a_list_of_paths_gets_no_empty_entry_which_would_be_the_working_folder() -> None:
    assert first_in_list("/suite", "PYTHONPATH", {"PYTHONPATH": ":/a::/suite:/b:"}) == "/suite:/a:/b"
    assert first_in_list("/suite", "PYTHONPATH", {}) == "/suite"


def test_a_folder_that_no_list_of_paths_can_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"/data/a:b has ':' in its path, which separates the entries of PYTHONPATH\. Move it"):
        first_in_list("/data/a:b", "PYTHONPATH", {})


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_without_the_marks_gets_the_words(encoding: str) -> None:
    done = command("claims", "show", "--source", "reference", "--paper", "foundations", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "verdict" in done.stdout.decode(encoding)


def test_where_there_is_no_home_folder_caches_are_this_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", "/nonexistent")
    folder = Path(cache_home({})["XDG_CACHE_HOME"])
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache_home({}) == {"XDG_CACHE_HOME": str(folder), "MPLCONFIGDIR": f"{folder}/matplotlib"}, "the next process takes the same"
    folder.chmod(0o777)
    with pytest.raises(ReplicationError, match=r"is not this user's alone\. Name a folder in XDG_CACHE_HOME"):
        cache_home({})
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(ReplicationError, match="is not this user's alone"):
        cache_home({})


def test_a_user_without_an_account_is_named_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 987_654_321)
    assert user_name() == {"LOGNAME": "987654321"}
    monkeypatch.setenv("USER", "ada")
    assert user_name() == {}


def test_a_cache_that_is_named_or_can_be_written_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_home({}) == {}
    monkeypatch.setenv("HOME", "/nonexistent")
    assert cache_home({"XDG_CACHE_HOME": "/a", "MPLCONFIGDIR": "/b"}) == {}
    assert cache_home({"XDG_CACHE_HOME": "/a"}) == {"MPLCONFIGDIR": "/a/matplotlib"}, "where Matplotlib keeps what it found of fonts"
