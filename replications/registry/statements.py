"""The statements of lectures that claims test: `statements.yaml` beside the papers' folders."""

from __future__ import annotations

import functools
from pathlib import Path

from pydantic import Field, model_validator

from replications import paths
from replications.registry.schema import Identifier, Strict
from replications.registry.yaml_models import read_yaml, validate

FILE = "statements.yaml"


class Statement(Strict):
    """One statement that lectures make. Which claims test it is said by the claims themselves, under `statements`."""

    id: Identifier
    sentence: str = Field(description="The statement, in plain words of our own.")
    note: str = Field("", description="Where the papers say otherwise: what they say.")


class Topic(Strict):
    """Statements of one lecture."""

    title: str
    statements: list[Statement] = Field(min_length=1)


class StatementList(Strict):
    """The whole of `statements.yaml`."""

    topics: list[Topic] = Field(default_factory=list)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> StatementList:
        ids = self.ids
        for statement_id in ids:
            if ids.count(statement_id) > 1:
                raise ValueError(f"statement id '{statement_id}' is used twice")
        return self

    @property
    def ids(self) -> list[str]:
        """Ids of all statements, in the order written."""
        return [statement.id for topic in self.topics for statement in topic.statements]


@functools.cache
def read_statements(path: Path) -> StatementList:
    """Read and validate a list of statements.

    Args:
        path: the YAML file.

    Returns:
        The list; an empty one where there is no such file.

    Raises:
        InputError: the file is not valid; all faults are listed.
    """
    return validate(StatementList, read_yaml(path), str(path)) if path.is_file() else StatementList()


def load_statements() -> StatementList:
    """Return the statements that claims of this suite may name.

    Returns:
        The list; an empty one where the papers' folder has none.

    Raises:
        InputError: the file is not valid.
    """
    return read_statements(paths.PAPERS / FILE)
