# Puts Keybearer on the cluster of kubectl's current context: says what would change, applies it, waits until it is
# ready, and prints the address. Safe to repeat. deploy.sh does the same, step by step.
param(
  [string]$Overlay,
  [switch]$Yes,
  [int]$Timeout = 600,
  [switch]$Help
)

# What kubectl writes to its standard error is no exception; its exit code is looked at.
$ErrorActionPreference = 'Continue'

function Show-Usage {
  Write-Host @'
Usage: k8s\deploy.ps1 [-Yes] [-Timeout SECONDS] OVERLAY

  OVERLAY             development, production, or a folder with a kustomization.yaml of your own
  -Yes                do not ask before a cluster elsewhere is changed
  -Timeout SECONDS    how long to wait until all is ready; 600, unless given

It ends with 0 when all is ready, 2 when something must be set or installed first, 3 when nobody agreed, 4 when the
cluster refused, and 5 when it was not ready in time. Nothing was changed after 2 and 3.
'@
}

function Say([string]$text) { Write-Host $text }

function Fail([int]$code, [string]$text) {
  [Console]::Error.WriteLine("keybearer: $text")
  Remove-Item -Recurse -Force $scratch -ErrorAction SilentlyContinue
  exit $code
}

if ($Help) { Show-Usage; exit 0 }
if (-not $Overlay) { Show-Usage; exit 2 }

$here = $PSScriptRoot
$folder = $Overlay
if (Test-Path -PathType Container "$here/overlays/$Overlay") { $folder = "$here/overlays/$Overlay" }
$once = 'app.kubernetes.io/component in (migrate,secrets)'
$rest = 'app.kubernetes.io/component notin (migrate,secrets)'

$scratch = Join-Path ([IO.Path]::GetTempPath()) "keybearer-$PID"
New-Item -ItemType Directory -Force $scratch | Out-Null
$manifest = Join-Path $scratch 'manifest.yaml'

# ---- Tools and cluster ----
$program = Get-Command kubectl -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
if (-not $program) { Fail 2 'kubectl is needed on PATH. For kubectl: https://kubernetes.io/docs/tasks/tools' }
if (-not (Get-Command diff -CommandType Application -ErrorAction SilentlyContinue)) {
  if (-not (Get-Command git -CommandType Application -ErrorAction SilentlyContinue)) { Fail 2 'diff or git is needed on PATH.' }
  $env:KUBECTL_EXTERNAL_DIFF = 'git diff --no-index'
}
$context = & $program config current-context 2>$null
if ($LASTEXITCODE) { Fail 2 'Choose a cluster first: kubectl config use-context NAME' }
# From here on it is this context, whatever another shell chooses meanwhile.
function kubectl { & $program --context $context @args }
$server = kubectl config view --minify --output 'jsonpath={.clusters[0].cluster.server}'
$version = kubectl get --raw /version
if ($LASTEXITCODE) { Fail 2 "The cluster of the context $context does not answer at $server." }
$minor = [int]([regex]::Match("$version", '"minor": *"([0-9]*)').Groups[1].Value)
if ($minor -lt 30) { Fail 2 "Kubernetes 1.30 or newer is needed; $context has 1.$minor." }
Say "Cluster: $context, $server, Kubernetes 1.$minor"

# ---- Manifests ----
kubectl kustomize $folder --output $manifest
if ($LASTEXITCODE) { Fail 2 "There is no overlay in $folder, or it is wrong, as said above." }
if (Select-String -Quiet -Path $manifest -Pattern 'keybearer\.example\.com') {
  Fail 2 "Set the host in $folder/kustomization.yaml, in place of keybearer.example.com."
}
# A line for each object: kind, name, namespace, component.
$lines = kubectl create '--dry-run=client' --filename $manifest --output "jsonpath={.kind} {.metadata.name} {.metadata.namespace} {.metadata.labels.app\.kubernetes\.io/component}{'\n'}"
if ($LASTEXITCODE) { Fail 4 'The cluster does not take these manifests, as said above.' }
$objects = @($lines | Where-Object { $_ } | ForEach-Object { , ($_ -split ' ') })
function Names([string]$kind, [string]$component = '') {
  $objects | Where-Object { $_[0] -eq $kind -and (-not $component -or $_[3] -eq $component) } | ForEach-Object { $_[1] }
}
$namespace = ($objects | Where-Object { $_[0] -eq 'Deployment' } | Select-Object -First 1)[2]

# ---- What would change ----
$again = $false
kubectl get namespace $namespace 2>$null | Out-Null
if (-not $LASTEXITCODE) {
  Say "What would change in the namespace ${namespace}:"
  $errors = kubectl apply '--dry-run=server' --filename $manifest --selector $once 2>&1 | ForEach-Object { "$_" }
  if ($LASTEXITCODE) {
    if (-not ($errors -match 'field is immutable')) { Fail 4 ($errors -join "`n") }
    $again = $true
    Say 'The Jobs migrate and secrets have changed and are made anew. They leave alone what is done already.'
  }
  # It compares two answers, and takes a status that changed in between for a difference: so what is none goes away.
  foreach ($try in 1..3) {
    $diff = kubectl diff --filename $manifest --selector $rest
    if ($LASTEXITCODE -ne 1) { break }
  }
  if ($LASTEXITCODE -gt 1) { Fail 4 'The cluster does not take these manifests, as said above.' }
  # All but kubectl's own note of what it applied.
  $diff = @($diff | Where-Object { $_ -notmatch '^.*last-applied-configuration: \|$' -and $_ -notmatch '^[-+ ] *{"apiVersion":' })
  if ($diff) { $diff } else { Say '  no difference' }
} else {
  Say "The namespace $namespace is new, and so is all in it:"
  $objects | ForEach-Object { Say "  $($_[0]) $($_[1])" }
}

# ---- Whether to go on ----
$local = $server -match '://(localhost|127\.[0-9.]+|0\.0\.0\.0|\[::1\]|[a-z.]+\.docker\.internal)([:/]|$)'
if ($context -in 'minikube', 'docker-desktop', 'rancher-desktop', 'colima', 'orbstack') { $local = $true }
if (-not $local -and -not $Yes) {
  $answer = ''
  if (-not [Console]::IsInputRedirected) { $answer = Read-Host "Change $context at ${server}? [y/N]" }
  if ($answer -notin 'y', 'yes') {
    Fail 3 "Nothing was changed. $context is not a cluster on this machine: answer y, or give -Yes."
  }
}

# ---- Apply ----
if ($again) {
  kubectl delete job --namespace $namespace --selector $once '--cascade=foreground'
}
kubectl apply --filename $manifest
if ($LASTEXITCODE) { Fail 4 'The cluster refused, as said above. What it took already is not undone; mend it and run this again.' }
# Jobs of older versions, which may still be trying.
foreach ($job in "$(kubectl get jobs --namespace $namespace --selector $once --output 'jsonpath={.items[*].metadata.name}')" -split ' ') {
  if ($job -and $job -notin @(Names Job)) { kubectl delete job --namespace $namespace $job }
}

# ---- Wait ----
$deadline = (Get-Date).AddSeconds($Timeout)
function Left { [Math]::Max(1, [int]($deadline - (Get-Date)).TotalSeconds) }

function NotReady([string]$what) {
  kubectl get pods --namespace $namespace --output wide
  kubectl get events --namespace $namespace --field-selector type=Warning --sort-by .lastTimestamp | Select-Object -Last 10
  Fail 5 "$what is not ready after $Timeout s. `"When something does not start`" in docs/kubernetes.md helps to find out why.
Once that is mended, it goes on by itself; run this again to see."
}

function WaitForJob([string]$name) {
  while ($true) {
    kubectl wait --namespace $namespace --for condition=complete "job/$name" --timeout 5s 2>$null | Out-Null
    if (-not $LASTEXITCODE) { break }
    kubectl get pods --namespace $namespace --selector "job-name=$name" --no-headers
    if ((Left) -le 1) {
      kubectl logs --namespace $namespace "job/$name" --all-containers --tail 20
      NotReady "job/$name"
    }
  }
  Say "job/$name is done"
}

function WaitForRollout([string]$what) {
  kubectl rollout status --namespace $namespace $what --timeout "$(Left)s"
  if ($LASTEXITCODE) { NotReady $what }
}

foreach ($name in @(Names Job secrets)) { WaitForJob $name }
foreach ($name in @(Names StatefulSet)) { WaitForRollout "statefulset/$name" }
foreach ($name in @(Names Job migrate)) { WaitForJob $name }
foreach ($name in @(Names Deployment)) { WaitForRollout "deployment/$name" }

# ---- Address ----
$url = kubectl get configmap --namespace $namespace keybearer-settings --output 'jsonpath={.data.KEYBEARER_PUBLIC_URL}'
Say ''
if (Names Deployment sandbox) {
  Say "Keybearer is ready. Forward its ports, each in a shell of its own, and open ${url}:"
  Say "  kubectl --namespace $namespace port-forward service/keybearer-frontend-proxy $(($url -split ':')[-1]):80"
  Say "  kubectl --namespace $namespace port-forward service/keybearer-sandbox 8082:8082"
  Remove-Item -Recurse -Force $scratch
  exit 0
}
Say "Keybearer is ready: $url"
$address = "$(kubectl get ingress --namespace $namespace --output 'jsonpath={.items[*].status.loadBalancer.ingress[*].ip} {.items[*].status.loadBalancer.ingress[*].hostname}')".Trim()
if ($address) {
  Say "Its name must lead to $address"
} else {
  Say "No Ingress controller has taken it up yet: kubectl --namespace $namespace get ingress"
}
kubectl get secret --namespace $namespace keybearer-providers 2>$null | Out-Null
if ($LASTEXITCODE) {
  Say 'Nobody can sign in yet: the Secret keybearer-providers is not there. k8s/README.md shows how to make it.'
}
Say 'Back up the keys, apart from the database: each is useless without the other.'
Say "  kubectl --namespace $namespace get secret keybearer-keyring keybearer-signing --output yaml"
Remove-Item -Recurse -Force $scratch
exit 0
