#!/bin/sh
# Gives the superuser the password of its Secret, after the database was brought back to a time before it was rotated.
set -eu
printf '%s\n' "ALTER ROLE postgres PASSWORD :'password';" |
  psql --quiet --username postgres --set ON_ERROR_STOP=1 --set password="$(cat /etc/postgresql-secret/password)"
echo "postgres has the password of its Secret."
