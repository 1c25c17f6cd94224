# Sourced by scripts/deps: the libraries that Debian 12 has only in too old versions, from Debian 13's
# sources, and nats-server. Each part_<name> downloads, builds and installs one into $PREFIX.
# shellcheck shell=bash disable=SC2034,SC2164 # scripts/deps uses the names, and runs with -e

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# A private apt, so that Debian 13's packages never reach the running system's apt.
apt_private() { # apt_private get|cache ARGUMENTS…
  local tool=apt-$1
  shift
  LC_ALL=C "$tool" -q -c "$APT/apt.conf" "$@"
}

write_archive() { # write_archive FILE "ADDRESS SUITE"
  say "deb [signed-by=$KEYRING] $2 main" >"$1"
  say "deb-src [signed-by=$KEYRING] $2 main" >>"$1"
}

prepare_apt() {
  local mirror security
  mirror=$(system_mirror '^(bookworm|oldstable|stable)$' '/debian/*$')
  security=$(system_mirror '^(bookworm|oldstable|stable)(-security|/updates)$' '/debian-security/*$')
  [[ -n $mirror ]] || {
    say "apt's sources name no Debian mirror for bookworm"
    return 1
  }
  [[ -r $KEYRING ]] || {
    say "$KEYRING is missing: install debian-archive-keyring"
    return 1
  }
  mkdir -p "$APT/lists/partial" "$APT/cache/archives/partial" "$BUILD"
  rm -f "$APT"/archive-*.list
  write_archive "$APT/archive-1-main.list" "$mirror trixie"
  [[ -z $security ]] || write_archive "$APT/archive-2-security.list" "$security trixie-security"
  cat "$APT"/archive-*.list >"$APT/sources.list"
  # bookworm is not listed: nothing is resolved against it, sources and two archives are only fetched.
  cat >"$APT/apt.conf" <<CONF
Dir::Etc::sourcelist "$APT/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "-";
Dir::State::lists "$APT/lists";
Dir::Cache "$APT/cache";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "2";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large;
CONF
  apt_private get update
}

upstream_of() { # upstream_of DEBIAN-VERSION: without epoch, revision and +ds
  local version=${1#*:}
  version=${version%-*}
  printf '%s\n' "${version%%+*}"
}

at_least() { dpkg --compare-versions "$1" ge "$2"; }

# Downloads one part of a source package from the first archive that gives it. A point release puts a
# security update into the main archive, too; apt asks only the first archive that lists a version,
# and a mirror may have the file in the other one alone.
download_source() { # download_source tar|diff SOURCE=VERSION
  local archive
  for archive in "$APT"/archive-*.list; do
    ! apt_private get -o "Dir::Etc::sourcelist=$archive" source --only-source --download-only "--$1-only" "$2" ||
      return 0
  done
  return 1
}

# Downloads the upstream archive of SOURCE and, when asked, Debian's patches, and unpacks them into
# $BUILD/SOURCE. Each file is checked by apt against the signed index. Mirrors may lack single files
# of the newest revision (the .dsc most of all), hence part by part and an older revision of the
# same upstream version as a second choice.
unpack_source() { # unpack_source SOURCE MINIMUM tar|tar+patches
  local source=$1 minimum=$2 parts=$3 version versions upstream='' candidate file name
  local into=$BUILD/$source
  rm -rf "$into"
  mkdir -p "$into/download" "$into/src"
  cd "$into/download"
  versions=$(apt_private cache --only-source showsrc "$source" | sed -n 's/^Version: //p' | sort -ruV)
  [[ -n $versions ]] || {
    say "apt knows no source package $source"
    return 1
  }
  for version in $versions; do
    candidate=$(upstream_of "$version")
    at_least "$candidate" "$minimum" || continue
    if download_source tar "$source=$version"; then
      upstream=$candidate
      break
    fi
  done
  [[ -n $upstream ]] || {
    say "no upstream archive of $source >= $minimum could be downloaded"
    return 1
  }
  for file in *.orig.tar.*; do
    [[ $file == *.asc ]] || tar -xf "$file" -C "$into/src" --strip-components=1
  done
  [[ $parts == tar+patches ]] || return 0
  for version in $versions; do
    [[ $(upstream_of "$version") == "$upstream" ]] || continue
    download_source diff "$source=$version" || continue
    file=$(find . -name '*.debian.tar.*' | sort -V | tail -n 1)
    [[ -n $file ]] || continue
    tar -xf "$file" -C "$into/src"
    [[ -e $into/src/debian/patches/series ]] || return 0
    while read -r name _; do
      [[ -z $name || $name == '#'* ]] || patch -d "$into/src" -p1 -s <"$into/src/debian/patches/$name"
    done <"$into/src/debian/patches/series"
    return 0
  done
  say "Debian's patches for $source $upstream could not be downloaded"
  return 1
}

unpack_binary() { # unpack_binary PACKAGE MINIMUM: unpacks Debian 13's binary package into $BUILD/PACKAGE
  local package=$1 minimum=$2 version into=$BUILD/$1
  rm -rf "$into"
  mkdir -p "$into/root"
  cd "$into"
  version=$(apt_private cache --no-all-versions show "$package" | sed -n 's/^Version: //p' | head -n 1)
  at_least "$(upstream_of "${version:-0}")" "$minimum" || {
    say "$package >= $minimum is not to be had, only '${version:-none}'"
    return 1
  }
  apt_private get download "$package"
  dpkg-deb -x "$package"_*.deb root
}

# Each library is a static archive, so plain `pkg-config --libs` has to name what it needs itself.
write_pc() { # write_pc FILE NAME VERSION REQUIRES LIBS
  mkdir -p "$PREFIX/lib/pkgconfig"
  cat >"$PREFIX/lib/pkgconfig/$1.pc" <<PC
prefix=\${pcfiledir}/../..
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: $2
Description: $2, static, for Parley
Version: $3
Requires: $4
Libs: -L\${libdir} $5
Cflags: -I\${includedir}
PC
}

CFLAGS_LIB='-O2 -g -fPIC -fstack-protector-strong -D_FORTIFY_SOURCE=2'

part_libmicrohttpd() {
  unpack_source libmicrohttpd "$MIN_LIBMICROHTTPD" tar+patches
  cd "$BUILD/libmicrohttpd/src"
  # No TLS: the edge ends it.
  ./configure --prefix="$PREFIX" --libdir="$PREFIX/lib" CFLAGS="$CFLAGS_LIB" \
    --disable-https --disable-shared --enable-static --disable-doc --disable-examples --disable-tools \
    --disable-curl --with-pic
  make -j"$(nproc)"
  make install
  write_pc libmicrohttpd libmicrohttpd "$MIN_LIBMICROHTTPD" '' '-lmicrohttpd -pthread'
}

part_libwebsockets() {
  unpack_source libwebsockets "$MIN_LIBWEBSOCKETS" tar+patches
  cd "$BUILD/libwebsockets/src"
  # LWS_WITHOUT_EXTENSIONS is ON by default and would leave out permessage-deflate.
  cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="$CFLAGS_LIB -DNDEBUG" \
    -DCMAKE_INSTALL_PREFIX="$PREFIX" -DLIB_SUFFIX= \
    -DLWS_WITH_LIBUV=ON -DLWS_WITH_EVLIB_PLUGINS=OFF -DLWS_WITH_PLUGINS=OFF -DLWS_WITHOUT_EXTENSIONS=OFF \
    -DLWS_WITH_ZLIB=ON -DLWS_WITH_BUNDLED_ZLIB=OFF -DLWS_WITH_SSL=ON -DLWS_IPV6=ON -DLWS_UNIX_SOCK=ON \
    -DLWS_WITH_SHARED=OFF -DLWS_STATIC_PIC=ON -DLWS_WITHOUT_TESTAPPS=ON -DDISABLE_WERROR=ON \
    -DLWS_LIBUV_INCLUDE_DIRS="$(pkg-config --variable=includedir libuv)" \
    -DLWS_LIBUV_LIBRARIES="$(pkg-config --variable=libdir libuv)/libuv.so"
  cmake --build build
  cmake --install build
  rm -f "$PREFIX/lib/pkgconfig/libwebsockets_static.pc"
  write_pc libwebsockets libwebsockets "$MIN_LIBWEBSOCKETS" 'openssl libuv zlib' '-lwebsockets'
}

part_yyjson() {
  unpack_source yyjson "$MIN_YYJSON" tar
  cd "$BUILD/yyjson/src"
  cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="$CFLAGS_LIB -DNDEBUG" \
    -DCMAKE_INSTALL_PREFIX="$PREFIX" -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_SHARED_LIBS=OFF
  cmake --build build
  cmake --install build
  write_pc yyjson yyjson "$MIN_YYJSON" '' '-lyyjson'
}

part_nats_c() {
  # Mirrors do not carry its source package everywhere; the development package has the static library.
  unpack_binary libnats-dev "$MIN_NATS_C"
  cd "$BUILD/libnats-dev"
  mkdir -p "$PREFIX/include" "$PREFIX/lib"
  cp -R root/usr/include/. "$PREFIX/include/"
  cp root/usr/lib/*/libnats_static.a "$PREFIX/lib/libnats.a"
  # Built against a newer glibc, it wants two names that this one lacks; the older functions differ
  # only in not knowing binary numbers (0b…).
  cat >isoc23.c <<'C'
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
long __isoc23_strtol(const char *s, char **end, int base);
long __isoc23_strtol(const char *s, char **end, int base) { return strtol(s, end, base); }
int __isoc23_sscanf(const char *s, const char *format, ...);
int __isoc23_sscanf(const char *s, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsscanf(s, format, args);
    va_end(args);
    return n;
}
C
  # Words, not one word.
  # shellcheck disable=SC2086
  gcc $CFLAGS_LIB -c isoc23.c -o parley_isoc23.o
  ar rs "$PREFIX/lib/libnats.a" parley_isoc23.o
  write_pc libnats libnats "$MIN_NATS_C" 'openssl libsodium libprotobuf-c' '-lnats -pthread'
}

part_nats_server() {
  unpack_binary nats-server "$MIN_NATS_SERVER"
  mkdir -p "$PREFIX/bin"
  rm -f "$PREFIX/bin/nats-server"
  cp "$BUILD/nats-server/root/usr/sbin/nats-server" "$PREFIX/bin/"
  "$PREFIX/bin/nats-server" --version
}

PARTS=(libmicrohttpd libwebsockets nats_c yyjson nats_server)
declare -A PART_TITLE=(
  [libmicrohttpd]="building libmicrohttpd $MIN_LIBMICROHTTPD"
  [libwebsockets]="building libwebsockets $MIN_LIBWEBSOCKETS"
  [nats_c]="unpacking nats.c $MIN_NATS_C"
  [yyjson]="building yyjson $MIN_YYJSON"
  [nats_server]="unpacking nats-server $MIN_NATS_SERVER"
)
