"""Limits after which the product gives up what a busy machine has not done yet; tests need not reach them."""

from __future__ import annotations

import dataclasses

_LONG = 600


def be_patient() -> None:
    """Wait for minutes where a limit of seconds would decide, unless a test or its settings say how long."""
    from mlbutler import isolation
    from mlbutler.commands.doctor import clock, machine
    from mlbutler.experiments import cancelling, desktop, gpus, shutdown
    from mlbutler.forge import mail
    from mlbutler.forge.http import ApiRetryPolicy
    from mlbutler.jenkins.client import JenkinsClient
    from mlbutler.project.outside import Outside
    from mlbutler.report import layout
    from mlbutler.report.plots import vega
    from mlbutler.steps import reviewers

    layout._TIMEOUT = vega._TIMEOUT = gpus._TIMEOUT = desktop._TIMEOUT = mail._TIMEOUT = _LONG
    cancelling._TIMEOUT = cancelling._HARDER = shutdown._LAST = _LONG
    clock._TIMEOUT = isolation._TIMEOUT = machine._GPU_TIMEOUT = _LONG
    for function, name in ((Outside.__init__, "timeout"), (JenkinsClient.__init__, "timeout")):
        function.__kwdefaults__[name] = _LONG  # type: ignore[index]
    ApiRetryPolicy._layout.defaults |= {"connect": _LONG, "read": _LONG}  # type: ignore[attr-defined]
    reviewers._QUICK = dataclasses.replace(reviewers._QUICK, connect=_LONG, read=_LONG)
