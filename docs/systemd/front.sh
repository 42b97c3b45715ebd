#!/bin/sh
# The front door without its image: fills the templates beside it as the image does, and becomes nginx. With -t, nginx
# only says whether it can use them.
set -eu
here=$(dirname "$0")
. "$here/settings.sh"
mkdir -p "$FRONT_RUN"
names=$(env | sed -n 's/^\(FRONT_[A-Z_]*\)=.*/${\1}/p')
for template in "$here"/templates/*.template; do
  # The journal is a socket, which nginx cannot open as the file /dev/stdout.
  envsubst "$names" <"$template" |
    sed 's|/dev/stdout|syslog:server=unix:/dev/log,nohostname,tag=keybearer_front|' >"$FRONT_RUN/.new"
  mv "$FRONT_RUN/.new" "$FRONT_RUN/$(basename "$template" .template)"
done
PATH=$PATH:/usr/sbin
exec nginx -e stderr -c "$FRONT_RUN/nginx.conf" -g 'daemon off;' "$@"
