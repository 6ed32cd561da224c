"""Addresses and paths: as they may be shown and written down, and whether they can be any."""

import os
import re
from pathlib import Path, PurePosixPath

HIDDEN = "HIDDEN"
HARMLESS = frozenset(
    ("dl", "download", "export", "format", "page", "raw", "ref", "rev", "v", "version")
)
"""Names of a query whose values say which file or form is meant, and let nobody in."""

LONGEST_NAME = 255
LONGEST_PATH = 4095
"""Bytes: the limits of Linux and its file systems, and those of macOS are not above them."""
PORTS = range(1, 1 << 16)

BUCKET = r"(s3|gs|az)://([a-z0-9][a-z0-9._-]+)((?:/[\w.=-]+)*)/?"
"""A folder in a bucket: its scheme, the bucket and the folder. No login has room in it."""

_PARTS = re.compile(
    r"(?P<scheme>[a-z0-9+.-]*://)(?P<host>[^/?#]*)(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")
_SECRET = re.compile(r"sig|token|secret|pass|pwd|auth|cred|key|x-(amz|goog)-", re.IGNORECASE)
_CHECKSUM = re.compile(r"sha256=[0-9a-f]*", re.IGNORECASE)


def without_secrets(address: str) -> str:
    """The address as people may see it: without its login, and with the query's values hidden.

    Any name may be that of a key, so that only the values of well-known others stay, and a
    checksum after `#`: `https://host/a.zip?v=2&token=HIDDEN`. What has no `://` is unchanged.
    """
    parts = _PARTS.fullmatch(address)
    if not parts:
        return address
    host = parts["host"].rpartition("@")[2]
    if not _HOST.fullmatch(host):  # the rest of a login, whose password has a '/', '?' or '#'
        _, at, rest = address.rpartition("@")
        return without_secrets(f"{parts['scheme']}{rest}") if at else f"{parts['scheme']}{HIDDEN}"
    shown = f"{parts['scheme']}{host}{parts['path']}"
    if query := parts["query"]:
        shown += f"?{'&'.join(map(_hidden, query.split('&')))}"
    if fragment := parts["fragment"]:
        shown += f"#{fragment if _CHECKSUM.fullmatch(fragment) else HIDDEN}"
    return shown


def telling_query(address: str) -> list[str]:
    """What of an address's query may tell two files apart: for a digest, never to be shown.

    What is known to let its owner in is left out, so that not even its digest is kept.
    """
    parts = _PARTS.fullmatch(address)
    query = (parts["query"] if parts else "") or ""
    return [part for part in query.split("&") if part and not _SECRET.search(part.split("=")[0])]


def has_host(address: str) -> bool:
    """Whether a web address names a host that can be looked for, and no port that there is not."""
    import httpx

    try:
        url = httpx.URL(address)
        return bool(url.host.encode("idna")) and url.port in (None, *PORTS)
    except (httpx.InvalidURL, UnicodeError):  # a part of it is empty, too long or no Punycode
        return False


def obstacle(path: Path) -> str | None:
    """Why no disk can store a path, to be said after its name; None when one may."""
    try:
        whole, *parts = (os.fsencode(str(part)) for part in (path, *path.parts))
    except UnicodeEncodeError:
        return "is no text that can be a path"
    if b"\0" in whole:
        return "has a null character"
    if len(whole) > LONGEST_PATH or any(len(part) > LONGEST_NAME for part in parts):
        return f"is too long: a name has at most {LONGEST_NAME} bytes, a path {LONGEST_PATH:,}"
    return None


def short_name(address: str) -> str:
    """The last part of a path or address, without its suffix; empty when there is none."""
    parts = _PARTS.fullmatch(address)
    return PurePosixPath(parts["path"] if parts else address).stem


def _hidden(part: str) -> str:
    name, equals, value = part.partition("=")
    if not equals:
        return HIDDEN
    return f"{name}={value if name.lower() in HARMLESS else HIDDEN}"
