"""What an experiment's builds write, from one build to the next, until the experiment has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator

from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.on_jenkins import JenkinsEngine
from mlbutler.experiments.state import ENDED, UNDER_WAY
from mlbutler.jenkins.console_text import ConsoleText

_POLL = 0.8
_POLL_STATE, _POLL_STATE_SILENT = 5.0, 1.5
"""Seconds between two looks at the state, which ask the Git remote, while a build writes, and while none does."""
_PIPELINE = "[Pipeline] "


class BuildLog:
    """Read the log of one experiment.

    Args:
        id: of the experiment.

    Attributes:
        experiment: as it was when it was asked for last.
    """

    def __init__(self, engine: JenkinsEngine, id: str) -> None:
        self._engine, self._id = engine, id
        self._text: ConsoleText | None = None
        self._number: int | None = None
        self.experiment: Experiment | None = None

    def current_lines(self) -> Iterator[str]:
        """Yield the lines that there are.

        Raises:
            AccessDenied, OutsideError: the controller does not answer.
        """
        kept = self._engine.experiments.read(self._id)
        if kept is not None:
            self._turn_to(kept.experiment)
        yield from self._new()

    def until_end(self) -> Iterator[list[str]]:
        """Yield new lines, none too, as they come, until the experiment has ended.

        Raises:
            AccessDenied, OutsideError: the controller does not answer. GitError: the remote does not.
        """
        asked = float("-inf")
        while True:
            ended = False
            writes = self._text is not None and self._text.more
            if time.monotonic() - asked > (_POLL_STATE if writes else _POLL_STATE_SILENT):
                # Before the log: what was written until its end is in there then.
                kept, asked = self._engine.experiments.read(self._id), time.monotonic()
                ended = kept is None or kept.experiment.state in ENDED
                self.experiment = kept.experiment if kept is not None else None
                if kept is not None:
                    self._turn_to(kept.experiment)
            yield list(self._new())
            if ended and (self._text is None or not self._text.more):
                return
            time.sleep(_POLL)

    def _turn_to(self, experiment: Experiment) -> None:
        """Read the build that the experiment is in now."""
        if experiment.state in UNDER_WAY or self._number is None:
            number = self._engine.job.number(experiment.build)
            if number is not None and number != self._number:
                self._number, self._text = number, ConsoleText(self._engine.job, number)

    def _new(self) -> Iterator[str]:
        for line in self._text.lines() if self._text is not None else ():
            if not line.startswith(_PIPELINE):
                yield line
