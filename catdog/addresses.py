"""Addresses as they may be shown and written down."""

import re

_LOGIN = re.compile(r"(?<=://)[^/?#]*@")
_SECRET = re.compile(
    r"(?<=[?&])([^=&#]*(?:sig|signature|token|secret|password|credential|(?:api|access)[-_]?key)"
    r"[^=&#]*)=[^&#]*",
    re.IGNORECASE,
)


def without_secrets(address: str) -> str:
    """The address without what lets its owner in: user name, password, signatures and tokens.

    The names of such parts of the query stay: `?token=HIDDEN`. Anything but a URL is unchanged.
    """
    if "://" not in address:
        return address
    return _SECRET.sub(r"\1=HIDDEN", _LOGIN.sub("", address))
