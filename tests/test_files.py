"""A written file has the permissions that the user gives to new files, and is there whole or not at all."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from replications.files import replacing


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_file_is_as_open_to_others_as_the_user_wants(tmp_path: Path, mask: int, mode: int) -> None:
    os.umask(mask)
    with replacing(tmp_path / "x") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "x").stat().st_mode & 0o777 == mode
    assert os.umask(mask) == mask


def test_after_an_error_the_file_is_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("before")
    with pytest.raises(KeyError), replacing(tmp_path / "x") as temporary:
        temporary.write_text("after")
        raise KeyError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "before")]
