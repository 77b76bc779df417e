"""What every adapter is opened with: the place, the token from the environment, and how to talk."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path

from mlbutler.errors import ForgeError
from mlbutler.forge.detect import ForgeLocation
from mlbutler.forge.http import Api, ApiOptions, ApiRetryPolicy
from mlbutler.forge.interface import Behavior
from mlbutler.frozen import frozen_by_name
from mlbutler.variables import FORGE_TOKEN, FORGE_USER


class NoToken(ForgeError):
    """The environment holds no token for the forge."""


@frozen_by_name
class Opening:
    """What an adapter is opened with.

    Attributes:
        root: where relative paths begin. say: called before every long wait.
        check: raises for a path that must not be written.
        refs: asks the git remote for refs by patterns; None without a remote.
        behavior: what becomes of earlier comments.
    """

    place: ForgeLocation
    environ: Mapping[str, str]
    root: Path
    say: Callable[[str], None] | None = None
    policy: ApiRetryPolicy | None = None
    check: Callable[[Path], None] | None = None
    refs: Callable[..., Mapping[str, str]] | None = None
    behavior: Behavior = "update"

    def token(self, *names: str) -> str:
        """Return the token: `FORGE_TOKEN`'s, else that of the first variable of `names` that is set.

        Raises:
            NoToken: none is set, or it cannot be sent.
        """
        token = next((self.environ[name].strip() for name in (FORGE_TOKEN, *names) if self.environ.get(name)), "")
        if not token or not token.isascii() or not token.isprintable():
            raise NoToken(
                f"There is no {'usable ' if token else ''}token for {self.place.url}.",
                f"Set {' or '.join((FORGE_TOKEN, *names))} (`mlbutler help forges` says which rights it needs).",
            )
        return token

    def bearer_or_basic(self, *names: str) -> dict[str, str]:
        """Return the header for a token, or for a user and a token or password where `FORGE_USER` is set.

        Raises:
            NoToken: as `token`.
        """
        token, user = self.token(*names), self.environ.get(FORGE_USER, "").strip()
        if not user:
            return {"Authorization": f"Bearer {token}"}
        pair = base64.b64encode(f"{user}:{token}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def api(self, name: str, base: str, headers: Mapping[str, str], secret: Mapping[str, str]) -> Api:
        """Return the API at `base`, or where the settings say.

        Args:
            headers, secret: see `Api`.
        """
        return Api(
            name,
            self.place.api or base,
            headers=headers,
            secret=secret,
            remedy=f"Set {FORGE_TOKEN} to a token that may do this (`mlbutler help forges`).",
            options=ApiOptions(self.environ, self.policy or ApiRetryPolicy(), self.say),
        )
