#!/bin/sh
# archive_command: copies the segment FILE as NAME to the backup volume. A segment there is whole, or it is not there.
set -eu
file=$1 name=$2 folder=/backup/wal

mkdir -p "$folder"
if [ -e "$folder/$name.gz" ]; then
  # After a crash, PostgreSQL may ask again for what is done; another segment of that name must never be lost.
  if gzip -dc "$folder/$name.gz" | cmp -s - "$file"; then exit 0; fi
  echo "$folder/$name.gz is there already and differs. Is this volume another database's?" >&2
  exit 1
fi
# A segment closed early is mostly zeros.
gzip -1c "$file" >"$folder/.$name.part"
sync "$folder/.$name.part"
mv "$folder/.$name.part" "$folder/$name.gz"
sync "$folder"
