"""DICOM over TLS: the profile, certificates in files, and a connection that threads may share.

The BCP 195 profile of PS3.15 B.12 (RFC 8996, RFC 9325): TLS 1.2 with ECDHE and AES-GCM, and TLS 1.3.
"""

from __future__ import annotations

from node.tls.certificates import Certificate, Certificates
from node.tls.channel import Channel, secure
from node.tls.profile import client_context, server_context
from node.tls.words import why_not

__all__ = ["Certificate", "Certificates", "Channel", "client_context", "secure", "server_context", "why_not"]
