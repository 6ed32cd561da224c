import pytest

from catdog.addresses import has_host, without_secrets


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


NO_HOSTS = {
    "an empty label": "http://example..com/a.zip",
    "a label of 64 characters": f"http://{'a' * 64}.com/",
    "no Punycode": "http://xn--/",
    "Punycode with an end of another kind": "http://xn--zz--/",
    "no name": "http://:80/",
    "no port": "http://host:99999/",
    "a negative port": "http://host:-1/",
    "an open bracket": "http://[::1/",
    "a surrogate": "http://\ud800/",
    "no authority": "data:,cats",
}


@pytest.mark.parametrize("address", NO_HOSTS.values(), ids=NO_HOSTS.keys())
def test_an_address_without_a_host_is_known(address: str) -> None:
    assert not has_host(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://[::1]:80/",
        "https://ä.example./",
        "http://a_b",
        f"http://{'a' * 63}.com/",
        "HTTP://A",
    ],
)
def test_an_address_with_a_host_is_known(address: str) -> None:
    assert has_host(address)
