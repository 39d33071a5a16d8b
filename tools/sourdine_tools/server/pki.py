"""The household's own certificate authority: one CA, one server certificate, one certificate per speaker.

Everything lies in the state folder (0700), keys in files of 0600, each written whole or not at all. Certificates begin
on the last day of 1999, since a speaker's clock starts in 2000 and learns the time only over a connection that they
have proven. All keys are P-256. What a certificate is for is in it: a speaker's cannot pass for the server's.
"""

import contextlib
import datetime
import hashlib
import json
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sourdine_board.mistake import Mistake

SERVER_NAME = "hub.sourdine.internal"  # in the server's certificate, whatever its address is
BEGINNING = datetime.datetime(1999, 12, 31, tzinfo=datetime.UTC)
YEAR = datetime.timedelta(days=365)
CA_LIFE = 40 * YEAR
SERVER_LIFE = 5 * YEAR
DEVICE_LIFE = 20 * YEAR
RENEW_BEFORE = YEAR  # a server certificate with less left is made anew when the server starts
NAME_LONGEST = 32  # characters of a speaker's name
NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"


@dataclass(frozen=True)
class Device:
    """A speaker as the server knows it."""

    name: str
    serial: int


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read: whole or not at all, and on the disk when this returns."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp's mode is 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(path, 0o700)
    return path


def check_name(name: str) -> str:
    """A speaker's name: it becomes a file name and a certificate's subject. Raises Mistake."""
    if not 0 < len(name) <= NAME_LONGEST or not set(name) <= set(NAME_LETTERS) or name.startswith("-"):
        raise Mistake(f"{name!r} is no name for a speaker; use up to {NAME_LONGEST} of a-z, 0-9 and '-'")
    return name


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} holds a key of another kind")  # noqa: TRY004  the file is wrong, not the program
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(
    subject: str,
    public_key,
    issuer: x509.Name | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    until: datetime.datetime,
    usage: x509.ObjectIdentifier | None,
    dns_name: str | None = None,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    is_ca = usage is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGINNING)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_ca,
                key_cert_sign=is_ca,
                crl_sign=is_ca,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if dns_name:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns_name)]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


class Authority:
    """The CA in a state folder; made on first use. Raises Mistake where the folder cannot be used."""

    def __init__(self, state: Path) -> None:
        try:
            self.folder = private_folder(Path(state))
            self._ca_path, self._ca_key_path = self.folder / "ca.pem", self.folder / "ca.key"
            self._server_path, self._server_key_path = self.folder / "server.pem", self.folder / "server.key"
            self._devices_path = self.folder / "devices.json"
            if not self._ca_path.exists():
                self._make_ca()
            self._key = _load_key(self._ca_key_path)
            self.certificate = x509.load_pem_x509_certificate(self._ca_path.read_bytes())
            if self._server_needs_renewal():
                self._make_server()
        except (OSError, ValueError) as error:
            raise Mistake(f"cannot use the state folder {state}: {error}") from error

    @property
    def ca_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the CA's certificate (DER)."""
        return hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).digest()

    def context(self) -> ssl.SSLContext:
        """TLS for the server. A peer may come without certificate: it can enrol, and nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.ca_pem.decode())
        context.load_cert_chain(self._server_path, self._server_key_path)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
        return context

    def device(self, certificate_der: bytes) -> Device | None:
        """Who shows this certificate, which TLS has verified; None if it is unknown, replaced or revoked."""
        certificate = x509.load_der_x509_certificate(certificate_der)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[0].value) if names else ""
        entry = self.devices().get(name)
        if entry is None or entry["revoked"] or int(entry["serial"], 16) != certificate.serial_number:
            return None
        return Device(name, certificate.serial_number)

    def devices(self) -> dict[str, dict]:
        """Every speaker ever enrolled: name → {"serial": hex, "enrolled": ISO time, "revoked": bool}."""
        try:
            return json.loads(self._devices_path.read_bytes())
        except FileNotFoundError:
            return {}

    def issue(self, name: str, csr_pem: bytes) -> x509.Certificate:
        """Sign a speaker's key under our name for it; its earlier certificate is void from now on. Raises ValueError."""
        check_name(name)
        request = x509.load_pem_x509_csr(csr_pem)
        key = request.public_key()
        curve = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else "none"
        if curve != ec.SECP256R1.name or not request.is_signature_valid:
            raise ValueError("not a P-256 key, or not signed by it")
        certificate = _certificate(
            name, key, self.certificate.subject, self._key, _now() + DEVICE_LIFE, ExtendedKeyUsageOID.CLIENT_AUTH
        )
        devices = self.devices()
        devices[name] = {
            "serial": f"{certificate.serial_number:x}",
            "enrolled": _now().isoformat(timespec="seconds"),
            "revoked": False,
        }
        self._write_devices(devices)
        return certificate

    def revoke(self, name: str) -> None:
        """Refuse this speaker from its next session on. Raises Mistake if it was never enrolled."""
        devices = self.devices()
        if name not in devices:
            raise Mistake(f"no speaker {name!r} is enrolled here; known: {', '.join(sorted(devices)) or 'none'}")
        devices[name]["revoked"] = True
        self._write_devices(devices)

    def _write_devices(self, devices: dict[str, dict]) -> None:
        write_private(self._devices_path, json.dumps(devices, indent=1, sort_keys=True).encode())

    def _make_ca(self) -> None:
        if self._ca_key_path.exists():
            self._ca_key_path.unlink()  # of a first start that was cut short
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate("Sourdine household CA", key.public_key(), None, key, _now() + CA_LIFE, None)
        write_private(self._ca_key_path, _pem(key))
        write_private(self._ca_path, certificate.public_bytes(serialization.Encoding.PEM))

    def _server_needs_renewal(self) -> bool:
        if not (self._server_path.exists() and self._server_key_path.exists()):
            return True
        certificate = x509.load_pem_x509_certificate(self._server_path.read_bytes())
        key = _load_key(self._server_key_path)
        return (
            certificate.not_valid_after_utc < _now() + RENEW_BEFORE
            or certificate.issuer != self.certificate.subject
            or certificate.public_key() != key.public_key()
        )

    def _make_server(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(
            SERVER_NAME,
            key.public_key(),
            self.certificate.subject,
            self._key,
            _now() + SERVER_LIFE,
            ExtendedKeyUsageOID.SERVER_AUTH,
            SERVER_NAME,
        )
        write_private(self._server_key_path, _pem(key))
        write_private(self._server_path, certificate.public_bytes(serialization.Encoding.PEM))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
