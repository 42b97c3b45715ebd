#!/bin/sh
# Puts Keybearer's files where its units expect them. Run it as root, again after each update: settings and keys that
# are there are kept. DESTDIR installs below another folder. docs/single-machine.md tells what comes before and after.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
front=$here/../../frontend-proxy
root=${DESTDIR:-}

fail() {
  echo "keybearer: $*" >&2
  exit 1
}

[ -r "$front/ui/dist/index.html" ] || fail "The UI is not built: npm ci && npm run build, in frontend-proxy/ui"

install -D -m 0644 "$here/sysusers.conf" "$root/usr/lib/sysusers.d/keybearer.conf"
install -D -m 0644 "$here/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/keybearer.conf"
systemd-sysusers ${root:+--root="$root"} keybearer.conf
systemd-tmpfiles ${root:+--root="$root"} --create keybearer.conf

mkdir -p "$root/etc/systemd/system" "$root/opt/keybearer/nginx"
install -m 0644 "$here"/keybearer*.service "$here"/keybearer*.timer "$root/etc/systemd/system/"
install -D -m 0755 "$here/keybearer.sh" "$root/usr/local/sbin/keybearer"

rm -rf "$root/opt/keybearer/ui" "$root/opt/keybearer/nginx/templates"
cp -R "$front/ui/dist" "$root/opt/keybearer/ui"
cp -R "$front/nginx/templates" "$root/opt/keybearer/nginx/templates"
install -m 0644 "$front/nginx/settings.sh" "$root/opt/keybearer/nginx/"
install -m 0755 "$here/front.sh" "$root/opt/keybearer/nginx/"

cd "$root/etc/keybearer"
group_of() { sed -n "s/^$1:[^:]*:\([0-9]*\):.*/\1/p" "$root/etc/group"; }
for each in keybearer:keybearer admin:keybearer-admin front:keybearer-front; do
  file=${each%%:*}.env
  if [ -e "$file" ]; then
    echo "kept $root/etc/keybearer/$file"
  else
    install -m 0640 -g "$(group_of "${each#*:}")" "$here/$file" "$file"
    echo "made $root/etc/keybearer/$file"
  fi
done

# `primary` comes last: with it, the folder is a keyring. Files get the folder's group.
umask 027
if ! [ -e keyring/primary ]; then
  openssl rand -base64 32 >keyring/k1
  echo k1 >keyring/primary
  echo "made $root/etc/keybearer/keyring"
fi
if ! [ -e signing/primary ]; then
  openssl genpkey -algorithm ed25519 -out signing/s1
  chmod 0640 signing/s1
  echo s1 >signing/primary
  echo "made $root/etc/keybearer/signing"
fi
[ -n "$root" ] || systemctl daemon-reload
