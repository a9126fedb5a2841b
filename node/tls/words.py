"""Why a handshake failed, in words for the person who can change it."""

from __future__ import annotations

import ssl

_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate; give it one that `ca` vouches for, or set `clients`",
    "UNSUPPORTED_PROTOCOL": "it offers no TLS version from 1.2 on (PS3.15 B.12)",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it offers no TLS version from 1.2 on (PS3.15 B.12)",
    "NO_SHARED_CIPHER": "it offers no cipher suite with ECDHE and AES-GCM (PS3.15 B.12)",
    "HTTP_REQUEST": "it speaks HTTP",
    "WRONG_VERSION_NUMBER": "it speaks no TLS; DICOM without TLS goes to another port",
    "RECORD_LAYER_FAILURE": "it speaks no TLS; DICOM without TLS goes to another port",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know who issued our certificate; have it trust that issuer",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate from us: tls: certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it and we have no TLS version, cipher suite or certificate in common",
}

_NO_ISSUER = "; `tls: ca` has not who issued it: add that, or give it one of yours"
_VERIFIED = {
    **dict.fromkeys((2, 18, 19, 20, 21), _NO_ISSUER),
    9: "; look at the clocks, here and where it was made",
    10: "; give it a new one",
    23: "; give it a new one",
    26: "; give it one for client authentication (extended key usage clientAuth, key usage digitalSignature)",
    **dict.fromkeys((66, 67), "; RSA keys need 2048 bits or more"),
    68: "; have it signed with SHA-256 or better",
}
"""By X509_V_ERR_... of OpenSSL."""


def why_not(error: OSError) -> str:
    """A sentence about the other side; `error` is what the handshake raised."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = _VERIFIED.get(error.verify_code, "")
        return f"its certificate is not accepted: {error.verify_message.rstrip('.')}{hint}"
    if isinstance(error, TimeoutError):
        return "it did not finish the TLS handshake in time"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError):
        return "it closed the connection in the TLS handshake"
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(str(error.reason), f"the TLS handshake failed ({error.reason or error.strerror})")
    return f"the connection broke in the TLS handshake: {error.strerror}"
