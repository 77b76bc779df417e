"""Names of the environment variables that are no setting: credentials, and where to work."""

from __future__ import annotations

CHDIR = "MLBUTLER_CHDIR"
IN_RUN = "MLBUTLER_IN_RUN"
HANDED_RUNS = "MLBUTLER_HANDED_RUNS"

GIT_URL = "MLBUTLER_GIT_URL"
GIT_USER = "MLBUTLER_GIT_USERNAME"
GIT_TOKEN = "MLBUTLER_GIT_TOKEN"
GIT_KEY = "MLBUTLER_GIT_PRIVATE_KEY_FILE"

FORGE_USER = "MLBUTLER_FORGE_USER"
FORGE_TOKEN = "MLBUTLER_FORGE_TOKEN"
WEBHOOK = "MLBUTLER_NOTIFY_WEBHOOK"
SMTP_URL = "MLBUTLER_SMTP_URL"
SMTP_USER = "MLBUTLER_SMTP_USER"
SMTP_PASSWORD = "MLBUTLER_SMTP_PASSWORD"

JENKINS_USER = "MLBUTLER_JENKINS_USER"
JENKINS_TOKEN = "MLBUTLER_JENKINS_TOKEN"

SIGNING_KEY = "MLBUTLER_SIGNING_KEY"
"""An Ed25519 key in PEM, with which `mlbutler verify` signs what it attests."""

REMOTE_HOSTS = "MLBUTLER_REMOTE_HOSTS"

TRUST = "MLBUTLER_TRUST"
APPROVED = "MLBUTLER_APPROVED"
"""Set by the pipeline's script, from what `mlbutler approve --check` or `mlbutler on-comment` said: the commit of a
fork's change that may run as the repository's own, and who with write access approved it."""

EXPERIMENT = "MLBUTLER_EXPERIMENT"
"""Set by mlbutler for all that runs in an experiment: its id, by which these processes are found."""

TRAIN_EXPERIMENT = "MLBUTLER_TRAIN_EXPERIMENT"
"""Set by the pipeline for `mlbutler train agent`: the id of the experiment that the build was given."""
TRAIN_ATTEMPT = "MLBUTLER_TRAIN_ATTEMPT"
"""Set by the pipeline once an attempt has begun: its number."""

ALL = (
    CHDIR, IN_RUN, GIT_URL, GIT_USER, GIT_TOKEN, GIT_KEY, FORGE_USER, FORGE_TOKEN, WEBHOOK, SMTP_URL,
    SMTP_USER, SMTP_PASSWORD, JENKINS_USER, JENKINS_TOKEN,
    REMOTE_HOSTS, SIGNING_KEY, TRUST, APPROVED, HANDED_RUNS, EXPERIMENT,
    TRAIN_EXPERIMENT, TRAIN_ATTEMPT,
)  # fmt: skip
