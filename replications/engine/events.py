"""TensorBoard event files beside a run: its training and validation records as live curves, one sub-folder per seed.

They are a view and nothing reads them: records.parquet is the result. They are written with checkpoints and at the end,
through tensorboard's own record writer, because `torch.utils.tensorboard` alone takes a second to import.

    tensorboard --logdir results/gpu
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

SPLITS = ("train", "validation")


class EventFiles:
    """The event files of one chunk of a run.

    Args:
        folder: made at the first write. What an earlier attempt left there is replaced, since a resumed run brings all its
            records along.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written = 0
        self._fresh = True

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Append the new rows of the curves. A disk that refuses them stops nothing.

        Args:
            rows: all records so far; those of earlier calls come first.
        """
        new, self._written = rows[self._written :], len(rows)
        by_seed: dict[int, list[dict[str, Any]]] = {}
        for row in new:
            if row["split"] in SPLITS and row["step"]:
                by_seed.setdefault(row["seed"], []).append(row)
        if not by_seed:
            return
        with contextlib.suppress(OSError):
            if self._fresh:
                shutil.rmtree(self.folder, ignore_errors=True)
                self._fresh = False
            for seed, kept in by_seed.items():
                self._append(self.folder / f"seed-{seed}" / "events.out.tfevents.0", kept)

    @staticmethod
    def _append(path: Path, rows: list[dict[str, Any]]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        path.parent.mkdir(parents=True, exist_ok=True)
        starts = not path.exists()
        with path.open("ab") as file:
            writer = RecordWriter(file)
            if starts:
                writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
            for row in rows:
                value = Summary.Value(tag=f"{row['split']}/{row['metric']}", simple_value=row["value"])
                writer.write(Event(wall_time=time.time(), step=row["step"], summary=Summary(value=[value])).SerializeToString())
            writer.flush()
