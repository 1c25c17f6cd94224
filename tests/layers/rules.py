"""The rules of the house as tables: who may include what, and how large things may be. layers.py applies them."""

# Globs are relative to the checkout; `*` stays within a folder, `**` does not.

# The libraries of ours, and which of them each may include besides itself. "schema" is the generated code.
LIBRARIES = {
    "base": [],
    "bus": ["base", "schema"],
    "wire": ["base", "schema"],
    "http": ["base", "schema"],
    "auth": ["base", "schema"],
    "policy": ["base", "schema"],
}

# Third-party headers and the only files that may include them. Tests and what lies under bench may include any.
THIRD_PARTY = {
    "nats.h": ["lib/bus/*"],
    "nats/*": ["lib/bus/*"],
    "microhttpd.h": ["lib/http/*"],
    "libwebsockets.h": ["services/gateway/ws*"],
    "libpq-fe.h": ["services/history/pg*"],
    "postgresql/*": ["services/history/pg*"],
    "magic.h": ["services/upload/sniff.c"],
    "yyjson.h": ["lib/wire/*", "lib/auth/*", "lib/bus/*"],
    "expat.h": ["services/upload/s3_answer.c"],
    "curl/*": ["lib/auth/*", "services/upload/store_s3_http.c"],
    # event.c: the fingerprint of a content; ws_tls: TLS without an edge
    "openssl/*": ["lib/auth/*", "lib/wire/event.c", "services/gateway/ws_tls*"],
    "zlib.h": ["lib/wire/*"],
    "uv.h": [],  # every adapter, see below
    # Headers of macros, and what the generated schema itself needs
    "uthash.h": ["lib/**", "services/**"],
    "utlist.h": ["lib/**", "services/**"],
    "protobuf-c/protobuf-c.h": ["lib/**", "services/**"],
}

# Adapters: the only files that touch the outside world (loop, sockets, clocks). All others in lib/ and services/ are core:
# they take `now` as an argument and are tested without a network.
ADAPTERS = [
    "lib/base/inbox.c",
    "lib/base/log.c",  # stamps its lines
    "lib/base/failpoint.c",  # blocks on purpose
    "lib/base/signals.*",  # on a loop
    "lib/base/turn.c",  # measures the loop
    "lib/base/process.c",  # asks the kernel about itself
    "lib/bus/*",
    "lib/http/*",
    "lib/auth/jwks*",
    "services/gateway/gateway.c",  # builds everything and owns the loop, as history.c
    "services/gateway/ws*",
    "services/history/env.c",  # the clocks, behind functions that a test replaces
    "services/history/history.c",
    "services/history/setup.c",  # as history.c
    "services/presence/presence.c",  # as history.c
    "services/history/pg*",
    "lib/base/ticker.c",  # a timer
    "services/upload/env.c",  # the clocks
    "services/upload/local_*",  # the folder and the thread pool
    "services/upload/sniff.c",  # libmagic
    "services/upload/sniffer.c",  # its thread
    "services/upload/store_*",
    "services/upload/upload.c",
    "services/*/main.c",
]

# What core files do not call, each as a word followed by "(".
CLOCKS = [
    "time", "clock", "clock_gettime", "gettimeofday", "ftime", "timespec_get",
    "uv_now", "uv_hrtime", "uv_update_time", "uv_gettimeofday", "uv_clock_gettime",
    "nats_Now", "nats_NowInNanoSeconds", "lws_now_usecs", "lws_now_secs",
    "sleep", "usleep", "nanosleep", "nats_Sleep", "uv_sleep",
]  # fmt: skip

# Headers of sockets and threads: core files have neither.
CORE_FORBIDDEN_HEADERS = ["sys/socket.h", "netdb.h", "poll.h", "sys/epoll.h", "sys/select.h", "pthread.h", "threads.h"]

# The C library and the system. Anything else in <> is third-party and needs a line above.
SYSTEM_HEADERS = """
assert.h ctype.h dirent.h errno.h fcntl.h fnmatch.h float.h inttypes.h iso646.h limits.h locale.h malloc.h math.h netdb.h poll.h
pthread.h sched.h setjmp.h signal.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h
stdnoreturn.h string.h strings.h syslog.h threads.h time.h unistd.h getopt.h arpa/inet.h netinet/in.h netinet/tcp.h linux/tcp.h
sys/epoll.h sys/eventfd.h sys/file.h sys/ioctl.h sys/mman.h sys/prctl.h sys/random.h sys/resource.h sys/select.h
sys/signalfd.h sys/socket.h sys/stat.h sys/time.h sys/timerfd.h sys/types.h sys/uio.h sys/un.h sys/wait.h
""".split()

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_MAIN_LINES = 80

# File or "file:function": reason. Kept short: an exception is for what cannot be shorter and stay readable.
SIZE_EXCEPTIONS: dict[str, str] = {}

# Whose size is checked; generated files and lock files are none of ours.
SIZED_FILES = [
    "lib/**/*.[ch]", "services/**/*.[ch]", "bench/**/*.[ch]", "tests/**/*.[ch]", "tests/**/*.py", "bench/**/*.py",
    "scripts/*", "scripts/lib/*", "web/*/src/**/*.ts", "web/*/src/**/*.tsx", "web/*/test/**/*.ts", "web/*/tests/**/*.ts",
    "tests/**/*.ts",
]  # fmt: skip

# Marks of work that was left behind
UNFINISHED = ["TODO", "FIXME", "XXX"]
