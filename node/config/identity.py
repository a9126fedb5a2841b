"""`identity:` of a peer and of a destination: user name and passcode in the association request (PS3.7 D.3.3.7)."""

from __future__ import annotations

import hmac

from node.config.secret import SecretPlace
from node.config.section import Section
from node.config.values import Text


class Identity(Section):
    """A user name, and a passcode where one is asked for."""

    user: Text
    """User name."""
    passcode: SecretPlace | None = None
    """Passcode. It travels in clear where there is no TLS."""

    def fits(self, user: bytes, passcode: bytes) -> bool:
        """True when it is this one, without telling by the time it takes how much of it was right.

        Raises ConfigurationError when the passcode cannot be read.
        """
        known = self.passcode.reveal().encode() if self.passcode is not None else passcode
        same_user = hmac.compare_digest(user, self.user.encode())
        return hmac.compare_digest(passcode, known) and same_user
