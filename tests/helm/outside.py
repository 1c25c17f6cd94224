"""NATS, PostgreSQL and an S3 server that are somebody else's, each with a certificate of an authority of its own."""

import base64
import datetime
import secrets

from cluster import CHART, Release, load_images, run, wait_until
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.s3_image import PORT as S3_PORT
from support.s3_image import make_s3_image

SERVERS = {"nats": 4222, "postgresql": 5432, "s3": S3_PORT}
USERS = ("gateway", "history", "presence", "upload", "setup", "scanner", "integration", "operator", "system")
NATS_CONF = """
listen: "0.0.0.0:4222"
jetstream { store_dir: "/data" }
tls { cert_file: "/tls/tls.crt", key_file: "/tls/tls.key" }
include "accounts.conf"
"""


class Authority:
    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.subject, self.key.public_key(), [(x509.BasicConstraints(ca=True, path_length=None), True)])

    def _sign(self, subject, public_key, extensions):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder(self.subject, subject, public_key, x509.random_serial_number(), now - datetime.timedelta(hours=1),
                                          now + datetime.timedelta(days=2))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def server(self, name):
        """A certificate for a host, and its key"""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key(),
                                 [(x509.SubjectAlternativeName([x509.DNSName(name)]), False)])
        return {"tls.crt": certificate.public_bytes(serialization.Encoding.PEM).decode(),
                "tls.key": key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()}


class Outside(Release):
    """A release `tls` whose servers are outside of it"""

    def __init__(self, release):
        super().__init__(release.namespace, release.tag, release.prefix, release.restricted)
        self.name, self.s3_image = "tls", f"parley-test-s3:{release.tag}"
        self.passwords = {user: "p" + secrets.token_hex(16) for user in (*USERS, "postgres")}
        self.wrong = Authority("of nobody here")

    def values(self, tag):
        sets = ["bus.url=nats://outside-nats:4222", "bus.tls.enabled=true,bus.tls.caSecret=outside-nats-ca", "database.tls.enabled=true",
                "database.tls.caSecret=outside-postgresql-ca", "objectStore.tls.caSecret=outside-s3-ca", "upload.store=s3", "secrets.existing=outside-secrets",
                "objectStore.endpoint=https://outside-s3:7070,objectStore.bucket=files", "bus.logMaxBytes=104857600",
                ",".join(f"{name}.replicas=1" for name in ("gateway", "history", "presence", "upload", "web"))]
        return ["--set", f"image.prefix={self.prefix},image.tag={tag}", *(flag for s in sets for flag in ("--set", s))]

    def secret_object(self, name, data):
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}}

    def put_servers(self):
        make_s3_image(self.s3_image)
        load_images([self.s3_image])
        accounts = run("helm", "template", self.name, CHART, *self.values(self.tag), "--show-only", "templates/nats-accounts.yaml")
        accounts = accounts.split("accounts.conf: |\n", 1)[1]  # as docs say, what is below it goes into nats-server's configuration
        p = self.passwords
        self.apply(
            *(o for name in SERVERS for o in self._certificates(name)),
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "outside-nats"}, "data": {"nats.conf": NATS_CONF, "accounts.conf": accounts}},
            self.secret_object("outside-secrets", {
                "token-secret": secrets.token_hex(32), "upload-secret": secrets.token_hex(32), "postgres-password": p["postgres"],
                "pg-url": f"postgresql://parley:{p['postgres']}@outside-postgresql:5432/parley", **{f"nats-{user}-password": p[user] for user in USERS},
                "s3-access-key-id": "parley", "s3-secret-access-key": p["upload"]}),
            *self._server("nats", f"{self.prefix}-nats:{self.tag}", ["-c", "/etc/nats/nats.conf"],
                          {f"NATS_{user.upper()}_PASSWORD": p[user] for user in USERS}, {"config": ("/etc/nats", {"configMap": {"name": "outside-nats"}})}),
            *self._server("postgresql", f"{self.prefix}-postgres:{self.tag}",
                          ["-c", "ssl=on", "-c", "ssl_cert_file=/tls/tls.crt", "-c", "ssl_key_file=/tls/tls.key"],
                          {"POSTGRES_USER": "parley", "POSTGRES_DB": "parley", "POSTGRES_PASSWORD_FILE": "/run/secrets/parley/postgres-password", "PGDATA": "/data/pgdata"},
                          {"secrets": ("/run/secrets/parley", {"secret": {"secretName": "outside-secrets"}})}),
            *self._server("s3", self.s3_image, ["--port", ":7070", "--cert", "/tls/tls.crt", "--key", "/tls/tls.key", "posix", "--sidecar", "/data/meta", "/data/buckets"],
                          {"ROOT_ACCESS_KEY_ID": "parley", "ROOT_SECRET_ACCESS_KEY": p["upload"]}, {}))
        wait_until(lambda: self.ready("outside-nats", "outside-postgresql", "outside-s3"), 120, "the servers outside are ready", 1)

    def _certificates(self, name):
        authority = Authority(f"authority of {name}")
        return [self.secret_object(f"outside-{name}-tls", authority.server(f"outside-{name}")), self.secret_object(f"outside-{name}-ca", {"ca.crt": authority.pem()}),
                self.secret_object(f"outside-{name}-wrong-ca", {"ca.crt": self.wrong.pem()})]

    def _server(self, name, image, args, env, mounts):
        volumes = {"tls": ("/tls", {"secret": {"secretName": f"outside-{name}-tls", "defaultMode": 0o440}}), "data": ("/data", {"emptyDir": {}}),
                   "tmp": ("/tmp", {"emptyDir": {}}), **mounts}
        labels = {"app.kubernetes.io/instance": self.name + "-outside", "app.kubernetes.io/component": f"outside-{name}"}
        closed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
        data = [{"name": "data", "mountPath": "/data"}]
        yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"outside-{name}"}, "spec": {"selector": labels, "ports": [{"port": SERVERS[name]}]}}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"outside-{name}", "labels": labels}, "spec": {
            "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1, "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "initContainers": [{"name": "folders", "image": f"{self.prefix}-check:{self.tag}", "command": ["/usr/bin/mkdir", "-p", "/data/buckets/files", "/data/meta"],
                                "securityContext": closed, "volumeMounts": data}],
            "containers": [{"name": name, "image": image, "args": args, "env": [{"name": k, "value": v} for k, v in env.items()], "securityContext": closed,
                            "readinessProbe": {"tcpSocket": {"port": SERVERS[name]}, "periodSeconds": 1},
                            "volumeMounts": [{"name": k, "mountPath": where} for k, (where, _) in volumes.items()]}],
            "volumes": [{"name": k, **source} for k, (_, source) in volumes.items()]}}

    def ready(self, *components):
        """Of the servers outside, whose label is another"""
        pods = [p for p in self.get("pods", f"app.kubernetes.io/instance={self.name}-outside") if p["metadata"]["labels"]["app.kubernetes.io/component"] in components]
        return len(pods) == len(components) and all(self.is_ready(pod) for pod in pods)

    def remove(self):
        run("helm", "uninstall", self.name, "--namespace", self.namespace, "--ignore-not-found", "--wait", check=False)
        self.kubectl("delete", "pod,service", *(f"outside-{name}" for name in SERVERS), "--ignore-not-found", check=False)
