#!/bin/sh
# Puts Keybearer on the cluster of kubectl's current context: says what would change, applies it, waits until it is
# ready, and prints the address. Safe to repeat. deploy.ps1 does the same, step by step.
set -eu

usage() {
  cat <<'TEXT'
Usage: k8s/deploy.sh [--yes] [--timeout SECONDS] OVERLAY

  OVERLAY             development, production, or a folder with a kustomization.yaml of your own
  --yes               do not ask before a cluster elsewhere is changed
  --timeout SECONDS   how long to wait until all is ready; 600, unless given

It ends with 0 when all is ready, 2 when something must be set or installed first, 3 when nobody agreed, 4 when the
cluster refused, and 5 when it was not ready in time. Nothing was changed after 2 and 3.
TEXT
}

say() { printf '%s\n' "$*"; }

fail() {
  code=$1
  shift
  printf 'keybearer: %s\n' "$*" >&2
  exit "$code"
}

yes=false timeout=600 overlay=
while [ $# -gt 0 ]; do
  case $1 in
    --yes) yes=true ;;
    --timeout) shift && timeout=${1:?} ;;
    --help) usage && exit ;;
    -*) usage >&2 && exit 2 ;;
    *) overlay=$1 ;;
  esac
  shift
done
case $timeout in '' | *[!0-9]*) overlay= ;; esac
if [ -z "$overlay" ]; then usage >&2 && exit 2; fi

here=$(cd "$(dirname "$0")" && pwd)
folder=$overlay
if [ -d "$here/overlays/$overlay" ]; then folder=$here/overlays/$overlay; fi
once='app.kubernetes.io/component in (migrate,secrets)'
rest='app.kubernetes.io/component notin (migrate,secrets)'

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
manifest=$scratch/manifest.yaml objects=$scratch/objects errors=$scratch/errors

# ---- Tools and cluster ----
for tool in kubectl diff; do
  command -v $tool >/dev/null || fail 2 "$tool is needed on PATH. For kubectl: https://kubernetes.io/docs/tasks/tools"
done
context=$(kubectl config current-context 2>/dev/null) || fail 2 "Choose a cluster first: kubectl config use-context NAME"
# From here on it is this context, whatever another shell chooses meanwhile.
kubectl() { command kubectl --context "$context" "$@"; }
server=$(kubectl config view --minify --output 'jsonpath={.clusters[0].cluster.server}')
version=$(kubectl get --raw /version) || fail 2 "The cluster of the context $context does not answer at $server."
minor=$(printf '%s' "$version" | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p')
[ "$minor" -ge 30 ] || fail 2 "Kubernetes 1.30 or newer is needed; $context has 1.$minor."
say "Cluster: $context, $server, Kubernetes 1.$minor"

# ---- Manifests ----
kubectl kustomize "$folder" --output "$manifest" || fail 2 "There is no overlay in $folder, or it is wrong, as said above."
if grep -q 'keybearer\.example\.com' "$manifest"; then
  fail 2 "Set the host in $folder/kustomization.yaml, in place of keybearer.example.com."
fi
# A line for each object: kind, name, namespace, component.
kubectl create --dry-run=client --filename "$manifest" --output "jsonpath={.kind} {.metadata.name} {.metadata.namespace} {.metadata.labels.app\.kubernetes\.io/component}{'\n'}" >"$objects" ||
  fail 4 "The cluster does not take these manifests, as said above."
names() { awk -v kind="$1" -v component="${2:-}" '$1 == kind && (component == "" || $4 == component) { print $2 }' "$objects"; }
namespace=$(awk '$1 == "Deployment" { print $3; exit }' "$objects")

# ---- What would change ----
again=false
if kubectl get namespace "$namespace" >/dev/null 2>&1; then
  say "What would change in the namespace $namespace:"
  if ! kubectl apply --dry-run=server --filename "$manifest" --selector "$once" >/dev/null 2>"$errors"; then
    grep -q 'field is immutable' "$errors" || fail 4 "$(cat "$errors")"
    again=true
    say "The Jobs migrate and secrets have changed and are made anew. They leave alone what is done already."
  fi
  # It compares two answers, and takes a status that changed in between for a difference: so what is none goes away.
  for _ in 1 2 3; do
    code=0
    kubectl diff --filename "$manifest" --selector "$rest" >"$scratch/diff" || code=$?
    if [ "$code" != 1 ]; then break; fi
  done
  [ "$code" -le 1 ] || fail 4 "The cluster does not take these manifests, as said above."
  # All but kubectl's own note of what it applied.
  grep -v -e '^.*last-applied-configuration: |$' -e '^[-+ ] *{"apiVersion":' "$scratch/diff" || say "  no difference"
else
  say "The namespace $namespace is new, and so is all in it:"
  awk '{ print "  " $1 " " $2 }' "$objects"
fi

# ---- Whether to go on ----
host=${server#*://}
case $host in '[::1]'*) host=localhost ;; esac
case ${host%%[:/]*} in
  127.*[!0-9.]*) local=false ;;
  localhost | 127.* | 0.0.0.0 | *.docker.internal) local=true ;;
  *) local=false ;;
esac
case $context in minikube | docker-desktop | rancher-desktop | colima | orbstack) local=true ;; esac
if [ $local = false ] && [ $yes = false ]; then
  answer=
  if [ -t 0 ]; then
    printf 'Change %s at %s? [y/N] ' "$context" "$server"
    read -r answer || true
  fi
  case $answer in
    y | Y | yes) ;;
    *) fail 3 "Nothing was changed. $context is not a cluster on this machine: answer y, or give --yes." ;;
  esac
fi

# ---- Apply ----
if [ $again = true ]; then
  kubectl delete job --namespace "$namespace" --selector "$once" --cascade=foreground
fi
kubectl apply --filename "$manifest" || fail 4 "The cluster refused, as said above. What it took already is not undone; mend it and run this again."
# Jobs of older versions, which may still be trying.
for job in $(kubectl get jobs --namespace "$namespace" --selector "$once" --output 'jsonpath={.items[*].metadata.name}'); do
  if ! names Job | grep -qx "$job"; then kubectl delete job --namespace "$namespace" "$job"; fi
done

# ---- Wait ----
deadline=$(($(date +%s) + timeout))
left() { echo $(($(date +%s) < deadline ? deadline - $(date +%s) : 1)); }

not_ready() {
  kubectl get pods --namespace "$namespace" --output wide
  kubectl get events --namespace "$namespace" --field-selector type=Warning --sort-by .lastTimestamp | tail -n 10
  fail 5 "$1 is not ready after $timeout s. \"When something does not start\" in docs/kubernetes.md helps to find out why.
Once that is mended, it goes on by itself; run this again to see."
}

wait_for_job() {
  until kubectl wait --namespace "$namespace" --for condition=complete "job/$1" --timeout 5s >/dev/null 2>&1; do
    kubectl get pods --namespace "$namespace" --selector "job-name=$1" --no-headers
    if [ "$(left)" -le 1 ]; then
      kubectl logs --namespace "$namespace" "job/$1" --all-containers --tail 20 || true
      not_ready "job/$1"
    fi
  done
  say "job/$1 is done"
}

wait_for_rollout() {
  kubectl rollout status --namespace "$namespace" "$1" --timeout "$(left)s" || not_ready "$1"
}

for name in $(names Job secrets); do wait_for_job "$name"; done
for name in $(names StatefulSet); do wait_for_rollout "statefulset/$name"; done
for name in $(names Job migrate); do wait_for_job "$name"; done
for name in $(names Deployment); do wait_for_rollout "deployment/$name"; done

# ---- Address ----
url=$(kubectl get configmap --namespace "$namespace" keybearer-settings --output 'jsonpath={.data.KEYBEARER_PUBLIC_URL}')
say ""
if [ -n "$(names Deployment sandbox)" ]; then
  say "Keybearer is ready. Forward its ports, each in a shell of its own, and open $url:"
  say "  kubectl --namespace $namespace port-forward service/keybearer-frontend-proxy ${url##*:}:80"
  say "  kubectl --namespace $namespace port-forward service/keybearer-sandbox 8082:8082"
  exit
fi
say "Keybearer is ready: $url"
address=$(kubectl get ingress --namespace "$namespace" --output 'jsonpath={.items[*].status.loadBalancer.ingress[*].ip} {.items[*].status.loadBalancer.ingress[*].hostname}')
if [ -n "${address# }" ]; then
  say "Its name must lead to ${address# }"
else
  say "No Ingress controller has taken it up yet: kubectl --namespace $namespace get ingress"
fi
if ! kubectl get secret --namespace "$namespace" keybearer-providers >/dev/null 2>&1; then
  say "Nobody can sign in yet: the Secret keybearer-providers is not there. k8s/README.md shows how to make it."
fi
say "Back up the keys, apart from the database: each is useless without the other."
say "  kubectl --namespace $namespace get secret keybearer-keyring keybearer-signing --output yaml"
