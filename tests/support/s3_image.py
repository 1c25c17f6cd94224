"""An S3 server as an image, for tests that run where Parley's own images do."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.stack import ROOT

PORT = 7070


def make_s3_image(name):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / ".deps/go/bin/versitygw", folder)
        (Path(folder) / "Dockerfile").write_text('FROM scratch\nCOPY versitygw /versitygw\nENTRYPOINT ["/versitygw"]\n')
        subprocess.run([os.environ.get("DOCKER", "docker"), "build", "--quiet", "--tag", name, folder], check=True, timeout=120,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
