"""The schema as Python classes: `from support.schema import event_pb2`. Made by protoc from proto/ when it is first imported."""

import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

PROTO = Path(__file__).resolve().parents[2] / "proto"

_folder = tempfile.TemporaryDirectory(prefix="parley-schema-")
subprocess.run(
    ["protoc", f"--python_out={_folder.name}", "-I", str(PROTO), "-I", "/usr/include", *map(str, sorted(PROTO.glob("parley/v1/*.proto")))],
    check=True,
)
sys.path.insert(0, _folder.name)
event_pb2 = importlib.import_module("parley.v1.event_pb2")
internal_pb2 = importlib.import_module("parley.v1.internal_pb2")
presence_pb2 = importlib.import_module("parley.v1.presence_pb2")
upload_pb2 = importlib.import_module("parley.v1.upload_pb2")
