import pytest

from catdog.addresses import without_secrets


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://cat:dog@example.org/a.zip", "https://example.org/a.zip"),
        ("https://example.org/a.zip?sig=abc&page=2", "https://example.org/a.zip?sig=HIDDEN&page=2"),
        (
            "https://example.org/a.zip?X-Amz-Signature=ab%2F&X-Amz-Credential=c#sha256=0",
            "https://example.org/a.zip?X-Amz-Signature=HIDDEN&X-Amz-Credential=HIDDEN#sha256=0",
        ),
        (
            "https://example.org/?access_key=a&key=b",
            "https://example.org/?access_key=HIDDEN&key=HIDDEN",
        ),
        (
            "https://host/a?pwd=a&auth=b&unheard-of=c&d#e",
            "https://host/a?pwd=HIDDEN&auth=HIDDEN&unheard-of=HIDDEN&HIDDEN#HIDDEN",
        ),
        ("https://me:p/w?d#x@host:80/a.zip", "https://host:80/a.zip"),
        ("https://me:secret", "https://HIDDEN"),
        ("http://[::1]:80/a@b.zip", "http://[::1]:80/a@b.zip"),
        ("photos?token=1", "photos?token=1"),
        ("me@home/photos", "me@home/photos"),
    ],
)
def test_what_lets_its_owner_in_is_not_shown(address: str, shown: str) -> None:
    assert without_secrets(address) == shown
    assert without_secrets(shown) == shown
