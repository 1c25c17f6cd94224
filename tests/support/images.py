"""Images that say of themselves what a test wants them to."""

import struct
import zlib


def png(width=3, height=2, tail=b""):
    """A PNG that says it has these pixels"""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\0" * 30)) + chunk(b"IEND", b"") + tail)


def jpeg(width=3, height=2):
    """The beginning of a JPEG with these pixels: what says its size, and nothing to show"""
    return (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
            + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01" + b"\xff\xd9")


def webp(width=3, height=2):
    """The beginning of an extended WebP with these pixels"""
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"RIFF" + struct.pack("<I", len(body)) + body
