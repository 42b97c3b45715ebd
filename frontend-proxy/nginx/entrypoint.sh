#!/bin/sh
# The image's entrypoint: settings first, then the base image's own, which fills the templates from the environment.
# Everything that is written goes to RUN_DIR, so that the root file system may be read-only.
set -eu
. "$(dirname "$0")/settings.sh"
mkdir -p "$FRONT_RUN"
export NGINX_ENVSUBST_OUTPUT_DIR="$FRONT_RUN" NGINX_ENVSUBST_FILTER='^FRONT_'
exec /docker-entrypoint.sh "$@"
