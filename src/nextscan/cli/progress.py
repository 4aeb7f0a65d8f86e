"""Progress on stderr: bars with the remaining time at a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nextscan.wording import roughly

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from nextscan.arrays import Progress

# how an event counts: what is done, of how many, and the word for it
_COUNTERS = (("job", "jobs", "job "), ("epoch", "epochs", "epoch "), ("done", "total", ""))
_PAUSE = 20.0  # seconds between plain lines
_SHORT = 5.0  # seconds that need no announcement


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Yield a callable for progress events; what it shows goes to stderr."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        "{task.description}",
        "{task.fields[count]}",
        "{task.fields[left]}",
        "[dim]{task.fields[extra]}",
    )
    with Progress(
        TextColumn(columns[0]),
        BarColumn(),
        *(TextColumn(column) for column in columns[1:]),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        yield _Bars(bars)


def _counted(event: Mapping[str, Any]) -> tuple[str, int, int] | None:
    """Return the word for what the event counts, how many are done and how many there are."""
    for done, total, word in _COUNTERS:
        if done in event and total in event:
            return word, int(event[done]), int(event[total])
    return None


def _title(event: Mapping[str, Any]) -> str:
    return str(event.get("method") or event.get("title") or event.get("phase") or "working")


def _left(event: Mapping[str, Any]) -> str:
    remaining = event.get("remaining_seconds")
    return "" if remaining is None else f"about {roughly(remaining)} left"


def _extra(event: Mapping[str, Any]) -> str:
    names = {"train_loss": "loss", "validation_score": "validation", "skipped": "skipped"}
    return ", ".join(f"{short} {event[name]:.3g}" for name, short in names.items() if event.get(name) is not None)


class _Lines:
    """Plain lines: the estimate at once, then one every `_PAUSE` seconds."""

    def __init__(self) -> None:
        self.spoke = time.monotonic()

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Print the event, or leave it."""
        if says := event.get("says"):
            print(says, file=sys.stderr, flush=True)
        counted = _counted(event)
        now = time.monotonic()
        long = event.get("phase") == "estimate" and (event.get("remaining_seconds") or 0.0) >= _SHORT
        if counted is None or not (long or now - self.spoke >= _PAUSE):
            return
        self.spoke = now
        word, done, total = counted
        parts = [f"{word}{done} of {total}", _left(event), _extra(event)]
        print(f"{_title(event)}: {', '.join(part for part in parts if part)}", file=sys.stderr, flush=True)


class _Bars:
    """One bar per thing counted: jobs, and the epochs within a job."""

    def __init__(self, bars: RichProgress) -> None:
        self.bars = bars
        self.shown: dict[str, TaskID] = {}

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Move the bar that the event is about, or say above the bars what it says."""
        if says := event.get("says"):
            self.bars.print(says)
        counted = _counted(event)
        if counted is None:
            return
        word, done, total = counted
        count, left, extra = f"{word}{done} of {total}", _left(event), _extra(event)
        title = _title(event)
        if word not in self.shown:
            self.shown[word] = self.bars.add_task(title, total=total, count=count, left=left, extra=extra)
        bar = self.shown[word]
        self.bars.update(bar, description=title, completed=done, total=total, count=count, left=left, extra=extra)
        if done >= total:
            self.bars.remove_task(self.shown.pop(word))
