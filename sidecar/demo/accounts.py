"""The users of the demo, and their bearer tokens."""

import hmac
import secrets
from collections import OrderedDict

PASSWORDS = {"alice": "demo", "bob": "demo"}
TOKENS_MAX = 1_000
"""Logins remembered; the oldest is logged out first."""


class Accounts:
    """The logins of this process, in memory."""

    def __init__(self) -> None:
        self._user_of_token: OrderedDict[str, str] = OrderedDict()

    def login(self, user: str, password: str) -> str | None:
        """Return a new bearer token, or None for a wrong user or password."""
        expected = PASSWORDS.get(user)
        if expected is None or not hmac.compare_digest(password.encode(), expected.encode()):
            return None
        token = f"demo_{secrets.token_urlsafe(24)}"
        self._user_of_token[token] = user
        while len(self._user_of_token) > TOKENS_MAX:
            self._user_of_token.popitem(last=False)
        return token

    def user(self, authorization: str) -> str | None:
        """Return whose ``Authorization`` header this is (RFC 6750), or None."""
        return self._user_of_token.get(_bearer(authorization))

    def logout(self, authorization: str) -> None:
        """Revoke the token of an ``Authorization`` header, if it is known."""
        self._user_of_token.pop(_bearer(authorization), None)


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
