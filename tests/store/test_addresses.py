from __future__ import annotations

import pytest

from store.addresses import is_metadata, is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", False),  # Teredo, of 127.0.0.1
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("2a00:1450::5efe:127.0.0.1", False),
        ("2a00:1450::200:5efe:10.0.0.1", False),
        ("fec0::1", False),
        ("3fff::1", False),
        ("192.0.0.192", False),
        ("168.63.129.16", False),
        ("100.100.100.200", False),
        ("fd00:ec2::254", False),
        ("64:ff9b::8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("not an address", False),
    ],
)
def test_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("address", "metadata"),
    [
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("fe80::a9fe:a9fe%eth0", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("fd00::1", False),
        ("8.8.8.8", False),
        ("not an address", False),
    ],
)
def test_is_metadata(address: str, metadata: bool) -> None:
    assert is_metadata(address) is metadata
