"""The suite on machines unlike the one that it was written on: a small paper is trained, judged and drawn on each, with equal results.

The environment of these tests is used as it is; what differs is the user, the folder, the language and how the files arrived.
"""

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from replications.paths import ROOT
from tests.workflow.conftest import TOY

OTHER_USER = 12345
TRAIN_AND_DRAW = ["snakemake", "--cores", "1", "--config", f"papers=[{TOY}]", "device=cpu", "--", f"present_{TOY}"]
COMMITTED = "foundations"
SHOW_REFERENCE = ["replications", "claims", "show", "--source", "reference", "--paper", COMMITTED]
LEFT_OUT = {".git", ".venv", ".snakemake", "logs", "__pycache__"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which("git") and shutil.which("make")), reason="there is no git or no make here"),
]


@dataclass
class Machine:
    """Where the suite lies, and how its commands are started."""

    suite: Path
    python: str = sys.executable
    before: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a Python module as a target of the Makefile, whose settings of the environment count."""
        target = f"tried: ; @{shlex.join([self.python, '-m', *command])}".replace("$", "$$")
        variables = {"PATH": os.defpath, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **self.variables}
        done = subprocess.run(
            [*self.before, "make", "--eval", target, "tried"],
            cwd=self.suite,
            env=variables,
            capture_output=True,
            encoding="utf-8",
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done


@dataclass(frozen=True)
class Made:
    """What a machine made of the paper."""

    records: pd.DataFrame
    claims: pd.DataFrame
    provenance: dict[str, dict[str, object]]
    said: str


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def made_by(machine: Machine) -> Made:
    said = machine.run(*TRAIN_AND_DRAW)
    results = machine.suite / "results" / "smoke" / TOY
    paths = sorted(results.glob("*/seeds-*/provenance.json"))
    assert [path.parent.parent.name for path in paths] == ["fair", "loaded", "slow"]
    assert (results / "figures" / "heads_by_coin.pdf").stat().st_size > 0
    return Made(
        records=pd.read_parquet(results / "records.parquet").query("split != 'cost'").reset_index(drop=True),
        claims=pd.read_csv(results / "claims.csv"),
        provenance={path.parent.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in paths},
        said=said.stdout + said.stderr,
    )


def left_out(folder: str, names: list[str]) -> set[str]:
    """What is no part of a clone: of the results all but the committed ones."""
    return set(names) - {"reference"} if Path(folder) == ROOT / "results" else LEFT_OUT & set(names)


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A repository with two commits of the files as they are here and of the small paper, made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "other machines"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        target = shared / "origin"
        if not target.is_dir():
            unfinished = shared / "unfinished"
            shutil.copytree(ROOT, unfinished, symlinks=True, ignore=left_out)
            toy = shutil.copytree(ROOT / "tests" / "workflow" / TOY, unfinished / "replications" / "papers" / TOY, ignore=left_out)
            (toy / "runs.yaml").write_text((toy / "runs.yaml").read_text().replace("pause: 0.1", "pause: 0"))
            git(unfinished, "init", "-q")
            git(unfinished, "commit", "-q", "--allow-empty", "-m", "an earlier commit")
            git(unfinished, "add", "--all")
            git(unfinished, "commit", "-q", "-m", "the suite")
            unfinished.rename(target)
    return target


@pytest.fixture(scope="session")
def usual(origin: Path) -> Made:
    """What the usual machine makes: a clone with the whole history, in a plain folder of the user who runs these tests."""
    with (origin.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        clone = origin.parent / "usual"
        if not clone.is_dir():
            git(origin.parent, "clone", "-q", str(origin), clone.name)
        return made_by(Machine(clone, variables={"HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}))


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="other-machines-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def check(made: Made, usual: Made, commit: str | None) -> None:
    """Check that a machine gets the same numbers and verdicts, from code that it knows to be the same."""
    pd.testing.assert_frame_equal(made.records, usual.records, check_exact=True)
    judged = ["id", "verdict", "ours", "low", "high", "seeds_finished"]  # beside them stands what is not known of an archive's code
    pd.testing.assert_frame_equal(made.claims[judged], usual.claims[judged], check_exact=True)
    for run, content in made.provenance.items():
        assert content["code_digest"] == usual.provenance[run]["code_digest"]
        assert content["lock"] == usual.provenance[run]["lock"]
        assert content["commit"] == commit
        assert content["dirty"] is (None if commit is None else False)


def python_for(become: list[str], public: Path) -> tuple[str, dict[str, str]]:
    """Return a Python that another user can run, with the packages of this one, and the variables that it needs.

    Where the interpreter lies in a private folder a copy of it is made in the public one.
    """

    def runs(python: str, variables: dict[str, str]) -> bool:
        # Through a shell, as a job starts it: setpriv itself may still run what no other user can.
        command = [*become, "sh", "-c", '"$0" -c "import torch"', python]
        done = subprocess.run(command, cwd=public, env={"PATH": os.defpath, **variables}, capture_output=True, check=False)
        return done.returncode == 0

    if runs(sys.executable, {}):
        return sys.executable, {}
    base, environment = public / "python", public / "environment"
    left_behind = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-*", "*.a", "include", "share")
    shutil.copytree(sys.base_prefix, base, symlinks=True, ignore=left_behind)
    packages = Path(sysconfig.get_path("purelib"))
    library = environment / packages.parent.relative_to(sys.prefix)
    library.mkdir(parents=True)
    (library / "site-packages").symlink_to(packages)
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(base / "bin" / packages.parent.name)
    (environment / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\n")
    python, variables = str(environment / "bin" / "python"), {"LD_LIBRARY_PATH": str(base / "lib")}
    if not runs(python, variables):
        pytest.skip(f"{packages} is a folder that no other user can read")
    return python, variables


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("setpriv") is None, reason="only root can become another user, through setpriv")
def test_another_user_without_a_home_folder_or_an_account_in_a_clone_of_roots(origin: Path, usual: Made, public: Path) -> None:
    git(public, "clone", "-q", "--no-local", str(origin), "suite")
    os.chown(public / "suite", OTHER_USER, OTHER_USER)  # results go there; history and code stay another's, as in a mounted folder
    (public / "suite" / "results").chmod(0o777)
    become = ["setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"]
    python, variables = python_for(become, public)
    check(made_by(Machine(public / "suite", python, become, variables)), usual, git(origin, "rev-parse", "HEAD"))


def test_a_folder_with_spaces_and_letters_of_several_scripts_and_a_git_that_writes_line_ends_of_windows(
    origin: Path, usual: Made, tmp_path: Path
) -> None:
    suite = tmp_path / "sp ace" / "Prüf 中文 $(1)"
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(origin), str(suite))
    machine = Machine(suite, variables={"HOME": str(tmp_path), "LANG": "C.UTF-8"})
    check(made_by(machine), usual, git(origin, "rev-parse", "HEAD"))
    assert b"\r\n" not in (suite / "results" / "reference" / "reference.json").read_bytes()
    assert "withheld" not in machine.run(*SHOW_REFERENCE).stdout, "the digests of the committed results hold"


def test_a_clone_without_the_earlier_history_and_a_terminal_that_knows_ascii_alone(origin: Path, usual: Made, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", origin.as_uri(), "suite")
    assert git(tmp_path / "suite", "rev-list", "--count", "HEAD") == "1"
    plain = {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "HOME": str(tmp_path)}
    machine = Machine(tmp_path / "suite", variables=plain)
    check(made_by(machine), usual, git(origin, "rev-parse", "HEAD"))
    assert f"{COMMITTED}." in machine.run(*SHOW_REFERENCE).stdout, "the committed files are read, and the marks do not matter"


def test_an_archive_without_history_inside_a_repository_of_the_users_own(origin: Path, usual: Made, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "thesis")
    git(tmp_path / "thesis", "commit", "-q", "--allow-empty", "-m", "chapter 1")
    git(origin, "archive", "--format=zip", f"--output={tmp_path / 'suite.zip'}", "--prefix=suite/", "HEAD")
    with zipfile.ZipFile(tmp_path / "suite.zip") as archive:
        archive.extractall(tmp_path / "thesis")
    made = made_by(Machine(tmp_path / "thesis" / "suite", variables={"HOME": str(tmp_path)}))
    check(made, usual, None)
    assert "is no repository of its own but lies inside that of" in made.said
