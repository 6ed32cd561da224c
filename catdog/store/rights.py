"""Whether a bucket lets its homes do all that they need, tried out."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from catdog.store.remote import ForbiddenError, Remote, RemoteError

RIGHTS = {
    "s3": {
        "list": "s3:ListBucket",
        "create": "s3:PutObject",
        "read": "s3:GetObject",
        "remove": "s3:DeleteObject",
    },
    "gs": {
        "list": "storage.objects.list",
        "create": "storage.objects.create",
        "read": "storage.objects.get",
        "remove": "storage.objects.delete",
    },
    "az": dict.fromkeys(
        ("list", "create", "read", "remove"), "the role Storage Blob Data Contributor"
    ),
}
"""What each service calls them."""


def require_rights(remote: Remote) -> None:
    """Create an object of our own in a bucket, and remove it again.

    Raises RemoteError, with the right that is missing.
    """
    name = f"work/examined/{uuid.uuid4().hex}"
    with _needing("list", remote):
        remote.names("work")
    with _needing("create", remote):
        remote.write(name, b"first")
    try:
        with _needing("read", remote):
            remote.read(name)
        if remote.write(name, b"second"):
            raise RemoteError(
                f"{remote.url} replaces an object that was to be created only if there is none.",
                "Two homes could both win a decision: use a service that knows If-None-Match.",
            )
    finally:
        with _needing("remove", remote):
            remote.remove([name])


@contextmanager
def _needing(what: str, remote: Remote) -> Iterator[None]:
    try:
        yield
    except ForbiddenError as error:
        raise ForbiddenError(error.problem, f"Ask for {RIGHTS[remote.scheme][what]}.") from error
