# Sourced by up and down behind stack.sh: the S3 server of the local stack, which runs when that is asked for.
# shellcheck shell=bash disable=SC2034,SC2154 # who sources this uses the names, stack.sh has the others

S3_DATA=$RUN/s3
S3_BUCKET=parley
VERSITYGW=$ROOT/.deps/go/bin/versitygw

# Whether files are kept in an S3 server of our own.
private_s3() { [[ ${PARLEY_UPLOAD_STORE:-} == s3 && -z ${PARLEY_S3_ENDPOINT:-} ]]; }

# Whether one of our own stores holds what was uploaded.
has_files() {
  local folder=$RUN/upload/files
  [[ $1 == local ]] || folder=$S3_DATA/data/$S3_BUCKET/files
  [[ -d $folder && -n $(find "$folder" -type f -print -quit) ]]
}

# While parts of the stack run, the store is the one that they were started with; else it is noted, and may be another one only
# while there are no files in that of before. The first argument is 1 where some run.
settle_store() {
  local was
  was=$(cat "$CONF/store" 2>/dev/null) || was=local
  if (($1)); then
    [[ ${PARLEY_UPLOAD_STORE:-$was} == "$was" ]] ||
      die "the stack in $RUN_SHOWN keeps files in '$was', not in '$PARLEY_UPLOAD_STORE': scripts/down first"
    export PARLEY_UPLOAD_STORE=$was
  elif [[ ${PARLEY_UPLOAD_STORE:-local} != "$was" ]] && has_files "$was"; then
    local before='without --s3'
    [[ $was != s3 ]] || before='with --s3'
    die "the files of $RUN_SHOWN are in its store '$was', and nobody could read them from '${PARLEY_UPLOAD_STORE:-local}':" \
      "start $before, or with another folder in PARLEY_RUN_DIR"
  fi
  ! private_s3 || PARTS=(versitygw "${PARTS[@]}")
}
note_store() { printf '%s\n' "${PARLEY_UPLOAD_STORE:-local}" >"$CONF/store"; }

prepare_s3() {
  [[ -x $VERSITYGW ]] || die "there is no S3 server: run scripts/deps --s3"
  make_secret "$RUN/s3.secret"
  # A folder of the first level is a bucket. What is known of an object lies beside them, for file systems without attributes.
  install -d -m 700 "$S3_DATA" "$S3_DATA/data" "$S3_DATA/data/$S3_BUCKET" "$S3_DATA/meta"
}

# Only the pages of the edge may read answers: what a bucket's CORS rule says elsewhere.
launch_s3() {
  launch versitygw env ROOT_ACCESS_KEY_ID=parley ROOT_SECRET_ACCESS_KEY="$(<"$RUN/s3.secret")" "$VERSITYGW" \
    --port "127.0.0.1:${PORT[versitygw]}" --region us-east-1 --keep-alive --quiet \
    --cors-allow-origin "http://127.0.0.1:${PORT[nginx]}" posix --sidecar "$S3_DATA/meta" "$S3_DATA/data"
}

# Prints where browsers find files when that is not the edge: an origin, or nothing.
files_origin() {
  local at=${PARLEY_S3_PUBLIC_ENDPOINT:-${PARLEY_S3_ENDPOINT:-}}
  if [[ -n ${PARLEY_EDGE_FILES_ORIGIN:-} ]]; then
    at=$PARLEY_EDGE_FILES_ORIGIN
  elif [[ ${PARLEY_UPLOAD_STORE:-} != s3 ]]; then
    at=''
  elif private_s3; then
    at=http://127.0.0.1:${PORT[versitygw]}
  elif [[ ${PARLEY_S3_PATH_STYLE:-on} == off ]]; then
    at=${at/:\/\//:\/\/${PARLEY_S3_BUCKET:-}.}
  fi
  # It stands in a header of nginx' configuration.
  [[ -z $at || $at =~ ^https?://[A-Za-z0-9.:[-]+]?(:[0-9]+)?$ ]] ||
    die "the origin of files is '$at': takes http:// or https://, a host, and a port where it is not the scheme's own"
  printf '%s' "$at"
}

# Prints the settings of upload that lead there.
s3_settings() {
  printf '%s\n' "PARLEY_S3_ENDPOINT=http://127.0.0.1:${PORT[versitygw]}" "PARLEY_S3_BUCKET=$S3_BUCKET" \
    PARLEY_S3_ACCESS_KEY_ID=parley "PARLEY_S3_SECRET_ACCESS_KEY_FILE=$RUN/s3.secret"
}
