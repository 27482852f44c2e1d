"""A certificate authority, and the certificates that it issues to servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Authority"]

_VALID: Final = timedelta(days=1)


class Authority:
    """`bundle` is the file with its own certificate, which clients trust."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, f"authority of {folder.name}")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._signed(self._name, self._key.public_key(), constraints)
        self.bundle = folder / "authority.crt"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, folder: Path, *names: str) -> None:
        """Write server.crt, for a server with these names, and server.key into `folder`."""
        key, first = ec.generate_private_key(ec.SECP256R1()), x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, names[0])
        alternatives = x509.SubjectAlternativeName(
            [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        )
        certificate = self._signed(x509.Name([first]), key.public_key(), alternatives)
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / "server.crt").write_bytes(certificate.public_bytes(pem))
        (folder / "server.key").write_bytes(secret)
        (folder / "server.key").chmod(0o600)

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            self._name, name, key, x509.random_serial_number(), now - timedelta(hours=1), now + _VALID
        )
        # Python 3.13 refuses certificates without the identifiers of both keys, and an authority without its usage.
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(own, critical=False)
        if isinstance(extension, x509.BasicConstraints):
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        return builder.add_extension(extension, critical=True).sign(self._key, hashes.SHA256())
