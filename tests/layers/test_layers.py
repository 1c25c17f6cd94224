#!/usr/bin/env python3
"""Tests the test: a small tree that keeps every rule, and each rule broken once in it."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import layers
import rules

CLEAN = {
    "lib/base/buf.h": "#pragma once\n#include <stddef.h>\n",
    "lib/base/buf.c": '#include "base/buf.h"\n#include <string.h>\n',
    "lib/base/inbox.c": "#include <pthread.h>\n#include <uv.h>\n",
    "lib/wire/wire.h": '#pragma once\n#include "parley/v1/event.pb-c.h"\n',
    "lib/wire/json.c": '#include "wire/wire.h"\n#include "base/buf.h"\n#include <yyjson.h>\n#include <protobuf-c/protobuf-c.h>\n',
    "lib/wire/event.c": "#include <openssl/evp.h>\n",
    "lib/bus/bus.h": "#pragma once\n",
    "lib/bus/conn.c": '#include "bus/bus.h"\n#include "conn.h"\n#include <nats/nats.h>\n#include <uv.h>\n#include <uthash.h>\n',
    "lib/bus/conn.h": "#pragma once\n",
    "lib/http/server.c": "#include <microhttpd.h>\n#include <sys/socket.h>\nvoid f(void)\n{\n        uv_now(loop);\n}\n",
    "services/gateway/main.c": "#include <uv.h>\n",
    "services/gateway/session.h": "#pragma once\n",
    "services/gateway/session.c": '#include "gateway/session.h"\n#include "wire/wire.h"\n#include "bus/bus.h"\n#include <uthash.h>\n',
    "services/gateway/ws.c": "#include <libwebsockets.h>\n#include <time.h>\nvoid f(void)\n{\n        time(NULL);\n}\n",
    "services/history/pg.c": "#include <libpq-fe.h>\n",
    "services/history/page.c": '#include "base/buf.h"\n',
    "tests/unit/test_x.c": '#include "gateway/session.h"\n#include "history/pg.h"\n#include <cmocka.h>\n#include <nats.h>\n',
    "tests/integration/test_x.py": "x = 1\n",
    "scripts/up": "#!/bin/sh\n",
    "web/sdk/src/client.ts": "export {}\n",
    "web/sdk/node_modules/x/src/long.ts": "x\n" * 1000,
}

BODY = "        x();\n"

# (what is planted, file, content, what the one violation says)
PLANTED = [
    ("base includes another library", "lib/base/buf.c", '#include "bus/bus.h"\n', "buf.c:1: bus/bus.h: lib/base may not include bus"),
    ("base includes the schema", "lib/base/buf.c", '#include "parley/v1/event.pb-c.h"\n', "lib/base may not include schema"),
    ("base includes a service", "lib/base/buf.c", '#include "gateway/session.h"\n', "lib/base may not include service gateway"),
    ("a library includes another", "lib/http/server.c", '#include "bus/bus.h"\n', "lib/http may not include bus"),
    ("a library includes wire", "lib/auth/jwt.c", '#include "wire/wire.h"\n', "lib/auth may not include wire"),
    ("a library includes a service", "lib/wire/json.c", '#include "history/pg.h"\n', "lib/wire may not include service history"),
    ("a header is as bad as a file", "lib/bus/conn.h", '#include "wire/wire.h"\n', "lib/bus may not include wire"),
    ("with spaces", "lib/bus/conn.h", '#  include  "wire/wire.h"\n', "lib/bus may not include wire"),
    ("by a relative path", "lib/bus/conn.h", '#include "../wire/wire.h"\n', "conn.h:1: ../wire/wire.h: includes are relative"),
    ("a service includes another", "services/gateway/session.c", '#include "history/pg.h"\n', "session.c:1: history/pg.h: services never include each other"),
    ("in <>", "services/gateway/session.c", "#include <history/pg.h>\n", "neither ours"),
    ("nats outside bus", "services/gateway/session.c", "#include <nats.h>\n", "nats.h: may be included only in lib/bus/*"),
    ("nats by its folder", "services/gateway/session.c", "#include <nats/nats.h>\n", "may be included only in lib/bus/*"),
    ("nats in quotes", "services/gateway/session.c", '#include "nats.h"\n', "may be included only in lib/bus/*"),
    ("microhttpd outside http", "services/history/page.c", "#include <microhttpd.h>\n", "may be included only in lib/http/*"),
    ("libwebsockets outside ws", "services/gateway/session.c", "#include <libwebsockets.h>\n", "only in services/gateway/ws*"),
    ("libwebsockets in another service", "services/history/ws.c", "#include <libwebsockets.h>\n", "only in services/gateway/ws*"),
    ("libpq outside pg", "services/history/page.c", "#include <libpq-fe.h>\n", "only in services/history/pg*"),
    ("libpq by its folder", "services/history/page.c", "#include <postgresql/libpq-fe.h>\n", "only in services/history/pg*"),
    ("libpq in a folder below", "services/history/pg/deep.c", "#include <libpq-fe.h>\n", "only in services/history/pg*"),
    ("yyjson outside its three", "services/gateway/session.c", "#include <yyjson.h>\n", "yyjson.h: may be included only in"),
    ("curl outside auth", "lib/bus/conn.c", "#include <curl/curl.h>\n", "only in lib/auth/*"),
    ("libmagic outside its file", "services/upload/rest.c", "#include <magic.h>\n", "only in services/upload/sniff.c"),
    ("expat outside its file", "services/upload/rest.c", "#include <expat.h>\n", "only in services/upload/s3_answer.c"),
    ("openssl elsewhere in wire", "lib/wire/json.c", "#include <openssl/sha.h>\n", "openssl/sha.h: may be included only in"),
    ("zlib outside wire", "services/gateway/ws.c", "#include <zlib.h>\n", "only in lib/wire/*"),
    ("an unknown third party", "services/gateway/ws.c", "#include <hiredis/hiredis.h>\n", "hiredis/hiredis.h: neither ours"),
    ("a header that is not there", "services/gateway/ws.c", '#include "gone.h"\n', "gone.h: neither ours"),
    ("uv in a core file", "services/gateway/session.c", "#include <uv.h>\n", "uv.h: only adapters know the loop"),
    ("uv in base outside the inbox", "lib/base/buf.c", "#include <uv.h>\n", "uv.h: only adapters know the loop"),
    ("sockets in a core file", "services/history/page.c", "#include <sys/socket.h>\n", "has neither sockets nor threads"),
    ("threads in a core file", "lib/base/buf.c", "#include <pthread.h>\n", "has neither sockets nor threads"),
    ("time() in a core file", "services/gateway/session.c", "int a;\nint x = time(NULL);\n", "session.c:2: time(): a core file takes `now`"),
    ("clock_gettime in a core file", "services/history/page.c", "int x = clock_gettime(0, &ts);\n", "clock_gettime(): a core file"),
    ("uv_now in a core file", "lib/wire/json.c", "int x = uv_now (loop);\n", "uv_now(): a core file"),
    ("uv_hrtime in base", "lib/base/buf.c", "int x = uv_hrtime();\n", "uv_hrtime(): a core file"),
    ("a long file", "lib/wire/json.c", "\n" * 501, "json.c:501: 501 lines, at most 500"),
    ("a long script", "scripts/up", "\n" * 501, "501 lines, at most 500"),
    ("a long test", "tests/integration/test_x.py", "\n" * 501, "501 lines, at most 500"),
    ("a long page", "web/sdk/src/client.ts", "\n" * 501, "501 lines, at most 500"),
    ("a long main", "services/gateway/main.c", "\n" * 81, "main.c:81: 81 lines, at most 80"),
    ("a long function", "lib/wire/json.c", "int f(void)\n{\n" + BODY * 61 + "}\n", "json.c:2: f has 61 lines, at most 60"),
    ("a long function of many arguments", "lib/wire/json.c", "int f(int (*a)(void),\n      int b)\n{\n" + BODY * 61 + "}\n", "f has 61 lines"),
    ("a long function in a test", "tests/unit/test_x.c", "static void f(void)\n{\n" + BODY * 61 + "}\n", "f has 61 lines"),
    ("work left behind", "services/gateway/ws.c", "/* TO" "DO: later */\n", "ws.c:1: TO" "DO: finish it"),
]  # fmt: skip

# What looks like a violation and is none
ALLOWED = [
    ("in a comment", "lib/base/buf.c", '/*\n#include "bus/bus.h"\n*/\n/* calls time() */ // and clock()\n'),
    ("in a string", "lib/base/buf.c", 'const char *s = "time(NULL) \\" clock()";\n'),
    ("a longer word", "lib/base/buf.c", "int x = my_time() + clocks() + uptime();\n"),
    ("a member", "lib/base/buf.c", "int x = a.time() + a->clock();\n"),
    ("exactly the maximum", "lib/base/buf.c", "\n" * 500),
    ("a main of 80 lines", "services/gateway/main.c", "\n" * 80),
    ("a function of 60 lines", "lib/base/buf.c", "int f(void)\n{\n" + BODY * 60 + "}\n"),
    ("a long table", "lib/base/buf.c", "int t[] = {\n" + "        1,\n" * 100 + "};\n"),
    ("mkstemp", "lib/base/buf.c", 'char t[] = "/tmp/XXXXXX";\n'),
]


# The exceptions of today are none of these tests' business
@mock.patch.dict(rules.SIZE_EXCEPTIONS, clear=True)
class LayersTest(unittest.TestCase):
    def check(self, changed: dict[str, str]) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path, text in (CLEAN | changed).items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            return layers.Checker(root).run()

    def test_clean(self):
        self.assertEqual(self.check({}), [])

    def test_planted(self):
        for what, path, text, says in PLANTED:
            with self.subTest(what):
                violations = self.check({path: text})
                self.assertEqual(len(violations), 1, violations)
                self.assertIn(says, violations[0])
                self.assertTrue(violations[0].startswith(path + ":"), violations[0])

    def test_allowed(self):
        for what, path, text in ALLOWED:
            with self.subTest(what):
                self.assertEqual(self.check({path: text}), [])

    def test_exceptions(self):
        long = {"lib/base/buf.c": "int f(void)\n{\n" + BODY * 600 + "}\n"}
        self.assertEqual(len(self.check(long)), 2)
        with mock.patch.dict(rules.SIZE_EXCEPTIONS, {"lib/base/buf.c": "a reason", "lib/base/buf.c:f": "a reason"}):
            self.assertEqual(self.check(long), [])
        with mock.patch.dict(rules.SIZE_EXCEPTIONS, {"lib/base/gone.c": "no longer there"}):
            self.assertEqual(len(self.check({})), 1)

    def test_every_rule_was_broken(self):
        """Each third party of the table is planted above: a new line there needs one here"""
        planted = "".join(text for _, _, text, _ in PLANTED)
        for header, files in rules.THIRD_PARTY.items():
            if files != ["lib/**", "services/**"]:
                self.assertIn(header.rstrip("*"), planted)


if __name__ == "__main__":
    unittest.main()
