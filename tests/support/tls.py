"""A certificate authority of a test, and the pairs that it signs."""

import datetime
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _replace(path, data):
    """At once, as who rotates a file should."""
    new = Path(str(path) + ".new")
    new.write_bytes(data)
    os.replace(new, path)


class Authority:
    """A CA; `ca` is the file with its certificate, `cert` and `key` those that issue() writes."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.ca, self.cert, self.key = (self.folder / name for name in ("ca.crt", "tls.crt", "tls.key"))
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign("Parley's tests", self._key, days=30, ca=True)
        _replace(self.ca, self._certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name, key, days, ca=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(_name(name)).issuer_name(_name("Parley's tests"))
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=days))
                   .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
        if not ca:
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, days=2, cert=None, key=None):
        """Writes another pair, the certificate first; returns it."""
        pair_key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign("gateway", pair_key, days)
        _replace(cert or self.cert, certificate.public_bytes(serialization.Encoding.PEM))
        _replace(key or self.key, _pem(pair_key))
        return certificate

    def context(self):
        """For clients that trust this authority alone."""
        return ssl.create_default_context(cafile=str(self.ca))
