#!/bin/sh
# Starts the gateway and puts *** in the place of every credential in what it prints. It writes NATS_URL with its password
# into its log at its start, and takes no level for its log.
#
# It reads authorities from SSL_CERT_FILE alone. Where NATS_CA_FILE names those of NATS, they are put beside those of the image.
#
# sh start.sh NAME... [-- PROGRAM ARGUMENT...]
#
# NAME is a variable with a credential in it, as a whole, line by line, or as the password of a URL. Without PROGRAM it is
# the image's own. Whatever goes wrong with the mask costs one line, never the start.
set -uf
newline='
'
IFS=$newline

# Texts that must not be printed, one a line, the longest first: a credential may be a part of another.
hidden=

# Adds what a variable holds: of a URL the password, of many lines each.
hide() {
  case $1 in '' | [0-9]* | *[!A-Za-z0-9_]*)
    echo "credentials of $1 are not kept out of this log: a shell cannot read a variable of that name"
    return
    ;;
  esac
  eval "value=\${$1-}"
  case $value in
    *://*@*)
      login=${value#*://}
      login=${login%%/*}
      login=${login%@*}
      case $login in *:*) value=${login#*:} ;; *) value= ;; esac
      ;;
  esac
  # A text of few characters may be a word of the log: it is hidden where it stands as a password in a URL.
  for text in $value; do
    if [ "${#text}" -ge 6 ]; then insert "$text"; else insert ":$text@"; fi
  done
}

insert() {
  sorted=
  for each in $hidden; do
    if [ "${#1}" -gt "${#each}" ]; then
      sorted=$sorted$newline$1
      set -- ''
    fi
    sorted=$sorted$newline$each
  done
  hidden=$sorted$newline$1
}

mask() {
  while IFS= read -r line || [ -n "$line" ]; do
    for text in $hidden; do
      case $text in :*@) stars=':***@' ;; *) stars='***' ;; esac
      before=
      while :; do
        case $line in
          *"$text"*)
            before=$before${line%%"$text"*}$stars
            line=${line#*"$text"}
            ;;
          *) break ;;
        esac
      done
      line=$before$line
    done
    printf '%s\n' "$line"
  done
}

while [ $# -gt 0 ] && [ "$1" != -- ]; do
  hide "$1"
  shift
done
[ $# -eq 0 ] || shift
if [ $# -eq 0 ]; then
  if [ -x ./noetl-gateway ]; then set -- ./noetl-gateway; else set -- ./gateway; fi
fi

# Without those of the image it would trust nobody else any more, such as the identity provider.
trust() {
  together=${TMPDIR:-/tmp}/gateway-authorities.crt
  for known in "${SSL_CERT_FILE-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    [ -n "$known" ] && [ -r "$known" ] && break
    known=
  done
  [ -n "$known" ] || echo "the image has no file of authorities: the gateway trusts those of NATS alone"
  if (umask 077 && cat ${known:+"$known"} "$NATS_CA_FILE" >"$together"); then
    export SSL_CERT_FILE="$together"
  else
    echo "the authorities of NATS_CA_FILE are not trusted: ${together%/*} cannot be written"
  fi
}
[ -z "${NATS_CA_FILE-}" ] || trust

pipe=${TMPDIR:-/tmp}/gateway-log
rm -f "$pipe"
if ! mkfifo -m 600 "$pipe"; then
  echo "credentials are not kept out of this log: no pipe in ${pipe%/*}"
  exec "$@"
fi

# What reads the log ends with it, not with a signal: the last words of a gateway that ends are those that matter.
(trap '' TERM INT; mask) <"$pipe" &
masking=$!
# As the first process of a container the gateway would be left alone by signals that it has no handler for.
(trap '' TERM; exec "$@") >"$pipe" 2>&1 &
gateway=$!
trap 'kill -TERM "$gateway" 2>/dev/null' TERM INT
wait "$gateway"
code=$?
while kill -0 "$gateway" 2>/dev/null; do
  wait "$gateway"
  code=$?
done
wait "$masking"
exit "$code"
