"""Find the user name that git gives beside a token."""

from __future__ import annotations

_API_TOKEN, _ACCESS_TOKEN = "ATATT", "ATCTT"


def token_user(token: str, named: str) -> str:
    """Return `named`, or what the token's kind wants where that is empty.

    Bitbucket Cloud's API tokens go with an e-mail address over REST, and with a name of their own in git, where the
    address is refused.
    """
    if token.startswith(_API_TOKEN) and (not named or "@" in named):
        return "x-bitbucket-api-token-auth"
    if token.startswith(_ACCESS_TOKEN) and not named:
        return "x-token-auth"
    return named or "git"
