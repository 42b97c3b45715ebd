# First start of a new database, sourced by the image's entrypoint: WAL and base backups on the backup volume are of the
# one before it. They are still needed, and its own must not mix with them.
if [ -d /backup/wal ] || [ -d /backup/base ]; then
  before=/backup/before-$(date -u +%Y%m%dT%H%M%SZ)
  mkdir -p "$before"
  for folder in wal base; do
    if [ -d "/backup/$folder" ]; then mv "/backup/$folder" "$before/$folder"; fi
  done
fi
