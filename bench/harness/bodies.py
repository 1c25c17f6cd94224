"""A large file in parts, and ways to send it: by curl to addresses that somebody gave, and piece by piece so that it can be cut."""

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import time
import urllib.parse

import boto3
from botocore.config import Config

from . import procs
from .raw import free_port, listens
from support.stack import wait_until

PART = 16 << 20
PIECE = 1 << 20  # of a body that may be cut


class File:
    """Its parts as files of their own, which curl can send; no two have the same bytes."""

    def __init__(self, folder, parts):
        self.paths, self.sums, whole = [], [], hashlib.sha256()
        data = bytearray(os.urandom(PART))
        for n in range(1, parts + 1):
            data[:8] = n.to_bytes(8, "big")
            path = folder / f"part-{n}"
            path.write_bytes(data)
            self.paths.append(path)
            self.sums.append(hashlib.sha256(data))
            whole.update(data)
        self.size, self.whole = parts * PART, whole.hexdigest()
        joined = hashlib.sha256(b"".join(s.digest() for s in self.sums))
        self.composite = f"{joined.hexdigest()}-{parts}"

    def __len__(self):
        return len(self.paths)


def curl(folder, requests, parallel):
    """Sends files as curl does it by itself, so many at a time. requests: (url, headers, path)"""
    config = folder / "curl.conf"
    config.write_text("next\n".join(
        f'url = "{url}"\nupload-file = "{path}"\noutput = "{os.devnull}"\nfail\n' + "".join(f'header = "{n}: {v}"\n' for n, v in headers)
        for url, headers, path in requests))
    run = subprocess.run(["curl", "-sS", "--parallel", "--parallel-immediate", "--parallel-max", str(parallel), "-K", str(config)],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert run.returncode == 0, f"curl ended with {run.returncode}: {run.stdout[-500:]}"


def send(url, headers, path, at_half=None):
    """One body on a connection of its own. at_half is called in the middle of it, and ends the body here where it returns true.
    (bytes of it that left, the status or None where the connection ended before there was one)"""
    target = urllib.parse.urlsplit(url)
    data, sent = path.read_bytes(), 0
    lines = [f"PUT {target.path}?{target.query} HTTP/1.1", f"Host: {target.netloc}", f"Content-Length: {len(data)}", "Connection: close",
             *(f"{n}: {v}" for n, v in headers)]
    with socket.create_connection((target.hostname, target.port), 5) as s:
        s.settimeout(60)
        try:
            s.sendall("\r\n".join([*lines, "", ""]).encode())
            while sent < len(data):
                sent += s.send(memoryview(data)[sent:min(len(data), sent + PIECE)])
                if at_half and sent >= len(data) // 2:
                    if at_half():
                        return sent, None
                    at_half = None
            answer = s.recv(4096)
        except ConnectionError:
            return sent, None
        return sent, int(answer.split(b" ", 2)[1]) if answer else None


class Dav:
    """nginx, which stores what it is sent with PUT: what a web server and this disk do without Parley. Each PUT is one file; they are
    synced at the end, as the local store syncs each part before it answers."""

    name = "raw-curl-local"

    def __init__(self, folder):
        self.folder = folder / "dav"
        (self.folder / "files").mkdir(parents=True)

    def start(self):
        self.port, self.mark = free_port()
        conf = self.folder / "nginx.conf"
        conf.write_text(f"""daemon off; worker_processes auto; pid {self.folder}/pid; error_log stderr; {'user root root;' if os.geteuid() == 0 else ''}
events {{ }}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/p; fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  server {{ listen 127.0.0.1:{self.port}; root {self.folder}/files; location / {{ dav_methods PUT; }} }}
}}
""")
        self.log = (self.folder / "log").open("w")
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([binary, "-e", "stderr", "-p", str(self.folder), "-c", str(conf)], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        wait_until(lambda: listens(self.port), 10, "a bare nginx listens")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.mark.close()

    def pids(self):
        return [self.process.pid]

    def send(self, folder, file, conns):
        """Seconds until all is on the disk."""
        began = time.monotonic()
        curl(folder, [(f"http://127.0.0.1:{self.port}/{path.name}", (), path) for path in file.paths], conns)
        for path in file.paths:
            with (self.folder / "files" / path.name).open("rb") as stored:
                os.fsync(stored.fileno())
        seconds = time.monotonic() - began
        for path in file.paths:
            stored = self.folder / "files" / path.name
            assert stored.stat().st_size == PART, f"{stored} is not whole"
            stored.unlink()
        return seconds


class RawS3:
    """The S3 server of a stack without the stack: an upload in parts by the server's own protocol, begun and joined by boto3,
    bodies with their checksums by curl."""

    name = "raw-curl-s3"

    def __init__(self, stack):
        self.stack = stack
        self.client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{8433 + stack.offset}", region_name="us-east-1",
                                   aws_access_key_id="parley", aws_secret_access_key=(stack.run_dir / "s3.secret").read_text().strip(),
                                   config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))

    def pids(self):
        return [self.stack.pid("versitygw")]

    def send(self, folder, file, conns):
        """Seconds until the object is whole."""
        it = {"Bucket": "parley", "Key": "raw/object"}
        began = time.monotonic()
        parts = {**it, "UploadId": self.client.create_multipart_upload(**it, ChecksumAlgorithm="SHA256")["UploadId"]}
        sums = [base64.b64encode(s.digest()).decode() for s in file.sums]
        urls = [self.client.generate_presigned_url("upload_part", {**parts, "PartNumber": n, "ChecksumSHA256": s}) for n, s in enumerate(sums, 1)]
        curl(folder, [(url, [("x-amz-checksum-sha256", s)], path) for url, s, path in zip(urls, sums, file.paths)], conns)
        tags = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"], "ChecksumSHA256": p["ChecksumSHA256"]} for p in self.client.list_parts(**parts)["Parts"]]
        self.client.complete_multipart_upload(**parts, MultipartUpload={"Parts": tags})
        seconds = time.monotonic() - began
        assert self.client.head_object(**it)["ContentLength"] == file.size, "the object is not whole"
        self.client.delete_object(**it)
        return seconds


def cpu_of(pids, work):
    """(what work returns, seconds of processor time of these meanwhile)"""
    before = procs.cpu_s(pids)
    found = work()
    return found, procs.cpu_s(pids) - before
