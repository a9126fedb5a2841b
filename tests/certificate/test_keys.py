"""What stands for a value is its HMAC, cut off and written in base 64, as others make it."""

from __future__ import annotations

import hmac
from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st

from node.certificate.keys import EMPTY, Keys, keyed

_EXAMPLES = settings(max_examples=50, deadline=None)


@_EXAMPLES
@given(st.binary(max_size=64), st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_keyed_is_hmac_of_each_message_whatever_came_before(key: bytes, messages: list[bytes]) -> None:
    digest = keyed(key)
    for message in messages:
        assert digest(message) == digest(memoryview(message)) == hmac.digest(key, message, "sha256")


@_EXAMPLES
@given(st.binary(min_size=32, max_size=64), st.binary(min_size=1, max_size=64))
def test_the_code_of_a_value_is_the_beginning_of_its_hmac_in_base_64(secret: bytes, value: bytes) -> None:
    key = hmac.digest(secret, b"dicom-node certificate value", "sha256")
    assert Keys(secret).value()(value) == b64encode(hmac.digest(key, value, "sha256")[:15]).decode()


def test_no_value_has_no_code() -> None:
    code = Keys(b"s" * 32).value()
    assert code(None) == code(b"") == EMPTY
