#!/bin/sh
# `keybearer` for root, as the services run it: with their user and their settings. Install it as /usr/local/sbin/keybearer.
set -eu
user=keybearer
more=
set -a
. /etc/keybearer/keybearer.env
case ${1:-} in
backup | ledger | migrate | prune | restore)
  user=keybearer-admin
  . /etc/keybearer/admin.env
  ;;
esac
set +a
# The erasure log is readable to the server's user alone.
[ "${1:-}" != restore ] || more='--inh-caps +dac_read_search --ambient-caps +dac_read_search'
export HOME=/nonexistent
umask 0077
# shellcheck disable=SC2086
exec setpriv --reuid "$user" --regid "$user" --init-groups $more /opt/keybearer/env/bin/keybearer "$@"
