"""Notify the user on the desktop when the experiments that they watch have ended."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mlbutler.commands.train.opening import Training
from mlbutler.experiments import desktop
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.notices import all_ended_notice, end_notice


def notify_desktop(training: Training, ended: Sequence[Experiment]) -> None:
    """Show the end of what was watched on the desktop, where there is one and the settings want it."""
    if not ended or not training.settings.notify.desktop:
        return
    gates, first = training.settings.gate, ended[0]
    alone = end_notice(first, [first], gates) if len(ended) == 1 else None
    name = first.grid if {one.grid for one in ended} == {first.grid} else "experiments"
    notice = alone or all_ended_notice(name, ended, gates)
    desktop.notify("mlbutler train", training.console.redactor.hide(notice.title), os.environ)
