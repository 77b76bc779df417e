"""Find the user name that git sends with a token."""

from __future__ import annotations

_API_TOKEN, _ACCESS_TOKEN = "ATATT", "ATCTT"


def token_user(token: str, named: str) -> str:
    """Return `named`, or where that is empty the user name that this kind of token needs.

    Bitbucket Cloud's API tokens go with an e-mail address over REST, and with a name of their own in git, where the
    address is refused.
    """
    if token.startswith(_API_TOKEN) and (not named or "@" in named):
        return "x-bitbucket-api-token-auth"
    if token.startswith(_ACCESS_TOKEN) and not named:
        return "x-token-auth"
    return named or "git"
