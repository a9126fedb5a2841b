from __future__ import annotations

import ssl

import pytest

from node.tls import why_not


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] something (_ssl.c:1)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ssl_error("WRONG_VERSION_NUMBER"), "it speaks no TLS; DICOM without TLS goes to another port"),
        (ssl_error("TLSV1_ALERT_UNKNOWN_CA"), "have it trust that issuer"),
        (ssl_error("SOMETHING_NEW"), "the TLS handshake failed (SOMETHING_NEW)"),
        (TimeoutError("timed out"), "in time"),
        (ConnectionResetError(104, "Connection reset by peer"), "closed the connection"),
        (ssl.SSLEOFError(8, "EOF occurred"), "closed the connection"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_each_failure_says_what_is_wrong_on_the_other_side(error: OSError, text: str) -> None:
    assert text in why_not(error)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (20, "not accepted: what OpenSSL says; `tls: ca` has not who issued it: add that, or give it one of yours"),
        (10, "not accepted: what OpenSSL says; give it a new one"),
        (26, "; give it one for client authentication (extended key usage clientAuth, key usage digitalSignature)"),
        (66, "; RSA keys need 2048 bits or more"),
        (68, "; have it signed with SHA-256 or better"),
        (1, "not accepted: what OpenSSL says"),
    ],
)
def test_a_certificate_that_is_not_believed_says_what_to_change(code: int, text: str) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "what OpenSSL says"
    assert why_not(error).endswith(text)
