#!/bin/sh
# A base backup with the WAL that it needs, verified; then whatever is too old goes. PGHOST, KEEP_DAYS and the
# password come from the environment.
set -eu
folder=/backup/base
now=$(date -u +%Y%m%dT%H%M%SZ)

# A new pod's network may need a moment, until its policies are known everywhere.
tries=0
until pg_isready --quiet --timeout=3; do
  tries=$((tries + 1))
  if [ "$tries" -ge 30 ]; then break; fi # pg_basebackup then says what is wrong
  sleep 1
done

mkdir -p "$folder"
# A restore insists on the list of deleted accounts. Until the Job that writes it has run, nobody is missing from it
# whom this base backup still has.
[ -d /backup/erasures ] || mkdir -m 2775 /backup/erasures
rm -rf "$folder"/.part-*
pg_basebackup --pgdata="$folder/.part-$now" --format=tar --gzip --wal-method=stream --checkpoint=fast --no-password
pg_verifybackup --no-parse-wal "$folder/.part-$now"
mv "$folder/.part-$now" "$folder/$now"
# pg_basebackup lets nobody else read; whoever copies the volume away is of its group.
find "$folder" -user "$(id -u)" -exec chmod g+rX {} +
sync "$folder"
echo "made $folder/$now, $(du -sh "$folder/$now" | cut -f1)"

# By age, but never this one. What a database before this one left, goes as a whole.
find /backup -mindepth 1 -maxdepth 1 -type d -name 'before-2*' -mtime "+$KEEP_DAYS" -print -exec rm -rf {} +
find "$folder" -mindepth 1 -maxdepth 1 -type d -name '2*' ! -name "$now" -mtime "+$KEEP_DAYS" -print -exec rm -rf {} +

oldest=$(find "$folder" -mindepth 1 -maxdepth 1 -type d -name '2*' | sort | head -n 1)
first=$(tar -xzOf "$oldest/base.tar.gz" backup_label | sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\))$/\1/p')
if [ -n "$first" ] && [ -d /backup/wal ]; then
  pg_archivecleanup -x .gz /backup/wal "$first"
  echo "WAL is kept from $first on"
fi
