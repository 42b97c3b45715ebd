# Sourced by entrypoint.sh: checks what an operator set and derives the FRONT_… values that the templates are filled with.
# The first wrong setting ends the start with one sentence. docs/single-machine.md lists them all.

front_fail() {
  echo "keybearer: $*" >&2
  exit 1
}

# NAME VALUE CHARACTERS: nothing else may come into the configuration, but for a closing bracket.
front_only() {
  case $2 in
  *[!]$3]*) front_fail "$1 holds a character that it may not: $2" ;;
  esac
}

# NAME VALUE: 10/second or 5/minute.
front_rate() {
  front_count=${2%%/*}
  case $front_count in
  '' | 0* | *[!0-9]*) front_fail "$1 must be like 10/second or 5/minute, not $2" ;;
  esac
  case ${2#*/} in
  second) front_unit=s ;;
  minute) front_unit=m ;;
  *) front_fail "$1 must be like 10/second or 5/minute, not $2" ;;
  esac
}

# NAME VALUE
front_number() {
  case $2 in
  '' | *[!0-9]*) front_fail "$1 must be a whole number, not $2" ;;
  esac
}

# ADDRESS [PARAMETERS]: the same port of both families where only a port is given and the machine has IPv6.
front_listen() {
  front_only LISTEN "$1" '0-9a-fA-F.:['
  printf 'listen %s; ' "$1${2:+ $2}"
  case $1 in
  *[!0-9]*) ;;
  *) [ ! -e /proc/net/if_inet6 ] || printf 'listen [::]:%s; ' "$1${2:+ $2}" ;;
  esac
}

[ -n "${PUBLIC_URL:-}" ] || front_fail "PUBLIC_URL is not set. It is the address that people open, such as https://keybearer.example.com"
front_url=${PUBLIC_URL%/}
FRONT_PUBLIC_SCHEME=${front_url%%://*}
front_netloc=${front_url#*://}
case $FRONT_PUBLIC_SCHEME in
http | https) ;;
*) front_fail "PUBLIC_URL must begin with http:// or https://, not be $PUBLIC_URL" ;;
esac
case $front_netloc in
'' | */*) front_fail "PUBLIC_URL must be scheme, host and port alone, not $PUBLIC_URL" ;;
esac
front_only PUBLIC_URL "$front_netloc" 'A-Za-z0-9.:[-'
# After the last colon; in an address without a port that is a part of the address.
case ${front_netloc##*:} in
"$front_netloc" | '' | *[!0-9]*) FRONT_PUBLIC_PORT= ;;
*) FRONT_PUBLIC_PORT=:${front_netloc##*:} ;;
esac
FRONT_HSTS=
[ "$FRONT_PUBLIC_SCHEME" = http ] || FRONT_HSTS='max-age=31536000; includeSubDomains'

BACKEND=${BACKEND:-backend:8080}
front_only BACKEND "$BACKEND" 'A-Za-z0-9.:[_-'
FRONT_BACKEND="server $BACKEND max_fails=0;"
FRONT_RESOLVER=
if [ -n "${RESOLVER:-}" ]; then
  front_only RESOLVER "$RESOLVER" '0-9a-fA-F.:['
  FRONT_BACKEND="server $BACKEND max_fails=0 resolve;"
  FRONT_RESOLVER="resolver $RESOLVER valid=5s;"
fi

FRONT_REAL_IP=
FRONT_TRUSTED=
for front_network in $(echo "${TRUSTED_PROXIES:-}" | tr ',' ' '); do
  front_only TRUSTED_PROXIES "$front_network" '0-9a-fA-F.:/'
  FRONT_REAL_IP="${FRONT_REAL_IP}set_real_ip_from $front_network; "
  FRONT_TRUSTED="$FRONT_TRUSTED$front_network 1; "
done

FRONT_LIVEKIT=
if [ -n "${LIVEKIT_URL:-}" ]; then
  front_only LIVEKIT_URL "${LIVEKIT_URL%/}" 'A-Za-z0-9.:/[-'
  # The client asks over plain HTTP too, at the same host.
  case $LIVEKIT_URL in
  wss://* | ws://*)
    front_livekit=${LIVEKIT_URL#*://}
    front_livekit=${front_livekit%%/*}
    front_secure=${LIVEKIT_URL%%://*}
    front_secure=${front_secure#ws}
    FRONT_LIVEKIT=" ws$front_secure://$front_livekit http$front_secure://$front_livekit"
    ;;
  *) front_fail "LIVEKIT_URL must begin with wss:// or ws://, not be $LIVEKIT_URL" ;;
  esac
fi

front_rate REQUEST_LIMIT "${REQUEST_LIMIT:-10/second}"
FRONT_REQUEST_RATE=${front_count}r/$front_unit
FRONT_REQUEST_BURST=${REQUEST_BURST:-20}
front_number REQUEST_BURST "$FRONT_REQUEST_BURST"
front_rate SIGN_IN_LIMIT "${SIGN_IN_LIMIT:-5/minute}"
FRONT_SIGN_IN_RATE=${front_count}r/$front_unit
# As many at once as the limit says, and then one at a time.
FRONT_SIGN_IN_BURST=$((front_count - 1))
FRONT_SIGN_IN_WAIT=1
[ "$front_unit" = s ] || FRONT_SIGN_IN_WAIT=$((60 / front_count + (60 % front_count > 0)))

FRONT_LISTEN=$(front_listen "${LISTEN:-8080}")
FRONT_HEALTH_LISTEN=$(front_listen "${HEALTH_LISTEN:-8081}")
if [ -n "${TLS_DIR:-}" ]; then
  front_only TLS_DIR "$TLS_DIR" 'A-Za-z0-9./_-'
  for front_file in tls.crt tls.key; do
    [ -r "$TLS_DIR/$front_file" ] || front_fail "TLS_DIR: $TLS_DIR/$front_file is not there or not readable"
  done
  FRONT_LISTEN="$FRONT_LISTEN$(front_listen "${TLS_LISTEN:-8443}" 'ssl http2')"
  FRONT_LISTEN="${FRONT_LISTEN}ssl_certificate $TLS_DIR/tls.crt; ssl_certificate_key $TLS_DIR/tls.key; "
  FRONT_LISTEN="${FRONT_LISTEN}ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:2m; ssl_session_tickets off;"
fi

FRONT_UI=${UI_ROOT:-/usr/share/keybearer/ui}
FRONT_EXTRA=${EXTRA_DIR:-/etc/nginx/keybearer.d}
FRONT_RUN=${RUN_DIR:-/tmp/nginx}
FRONT_DRAIN=${DRAIN_SECONDS:-25}
FRONT_WORKERS=${WORKERS:-2}
front_only UI_ROOT "$FRONT_UI" 'A-Za-z0-9./_-'
front_only EXTRA_DIR "$FRONT_EXTRA" 'A-Za-z0-9./_-'
front_only RUN_DIR "$FRONT_RUN" 'A-Za-z0-9./_-'
front_number DRAIN_SECONDS "$FRONT_DRAIN"
front_number WORKERS "$FRONT_WORKERS"
[ -r "$FRONT_UI/index.html" ] || front_fail "UI_ROOT: $FRONT_UI/index.html is not there. Build the UI first"

export FRONT_PUBLIC_SCHEME FRONT_PUBLIC_PORT FRONT_HSTS FRONT_BACKEND FRONT_RESOLVER FRONT_REAL_IP FRONT_TRUSTED
export FRONT_LIVEKIT FRONT_REQUEST_RATE FRONT_REQUEST_BURST FRONT_SIGN_IN_RATE FRONT_SIGN_IN_BURST FRONT_SIGN_IN_WAIT
export FRONT_LISTEN FRONT_HEALTH_LISTEN FRONT_UI FRONT_EXTRA FRONT_RUN FRONT_DRAIN FRONT_WORKERS
