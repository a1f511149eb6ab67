#!/usr/bin/env bash
# Builds the image, starts it and asks it for an answer; fails when anything is not as promised.
#
#   tests/image/check_image.sh [VIDEO]        VIDEO is build/bikes.mp4 when left out (`make clip` fetches it)
#
# TARGET=cpu|gpu      which image; the GPU's is built, but its server is not started
# EXTRA_BUILD_ARGS    further words for the build command: --build-arg, certificates, proxies
# PORT=8765           a free port of this machine
#
# Uses Docker where an engine answers, otherwise buildah (as root, without any daemon).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

video=${1:-build/bikes.mp4}
target=${TARGET:-cpu}
port=${PORT:-8765}
image=motionfit-check:$target
read -ra extra <<<"${EXTRA_BUILD_ARGS:-}"
container=

if docker info >/dev/null 2>&1; then
  build() { docker build --tag "$image" --target "$target" "${extra[@]}" .; }
  size() { docker image inspect --format '{{.Size}}' "$image" | numfmt --to=si --suffix=B; }
  config() { docker image inspect --format '{{json .Config}}' "$image"; }
  create() { docker create --network host --env MOTIONFIT_PORT="$port" "$image"; }
  start() { docker start "$container"; }
  inside() { docker exec "$container" "$@"; }
  alone() { docker run --rm --entrypoint "$1" "$image" "${@:2}"; }
  remove() { docker rm --force "$container"; }
else
  buildah=(buildah --storage-driver vfs)
  build() {
    "${buildah[@]}" bud --isolation chroot --format docker --pull-never \
      --tag "$image" --target "$target" "${extra[@]}" .
  }
  size() { "${buildah[@]}" images --format '{{.Size}}' "$image"; }
  config() {
    "${buildah[@]}" inspect --type image "$image" |
      python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["Docker"]["config"]))'
  }
  create() { "${buildah[@]}" from --pull-never "$image"; }
  run=("${buildah[@]}" run --isolation chroot --env MOTIONFIT_PORT="$port")
  # buildah runs no entry point by itself.
  start() {
    mapfile -t entry < <(setting '"\n".join(config["Entrypoint"])')
    "${run[@]}" "$container" -- "${entry[@]}" &
    server=$!
  }
  inside() { "${run[@]}" "$container" -- "$@"; }
  alone() { inside "$@"; }
  remove() {
    [ -z "${server:-}" ] || { kill "$server"; wait "$server" || true; }
    "${buildah[@]}" rm "$container"
  }
fi
setting() { config | python3 -c "import json, sys; config = json.load(sys.stdin); print($1)"; }

say() { printf '\n== %s\n' "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
ask() { curl --silent --show-error --max-time 30 "$@"; }

say "building $image"
build
echo "size: $(size)"

container=$(create)
trap 'remove >/dev/null' EXIT

say "what is inside"
user=$(alone id -u)
[ "$user" -ne 0 ] || fail "the image runs as root"
echo "user: $user"
alone motionfit-serve --help >/dev/null || fail "motionfit-serve does not start"
for module in torch torchvision cv2; do
  ! alone python -c "import $module" 2>/dev/null || fail "$module is in the image"
done
! alone sh -c 'command -v gcc cc' || fail "there is a compiler in the image"
echo "no torch, no OpenCV, no compiler"
[ "$target" = cpu ] || exit 0

say "starting the server on port $port"
start
for _ in $(seq 60); do
  ready=$(ask --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$port/readyz" 2>/dev/null || true)
  [ "$ready" != 200 ] || break
  sleep 0.5
done
[ "$ready" = 200 ] || fail "not ready within 30 s"

say "asking"
mapfile -t health < <(setting '"\n".join(config["Healthcheck"]["Test"][1:])')
inside "${health[@]}" || fail "the health check fails"
echo "health check: passed"
answer=$(ask --fail --form "video=@$video" "http://127.0.0.1:$port/classify")
echo "$answer" | python3 -m json.tool
echo "$answer" | python3 -c 'import json, sys; assert json.load(sys.stdin)["top"]' || fail "no classes"
code=$(ask --output /dev/null --write-out '%{http_code}' --form video=@README.md \
  "http://127.0.0.1:$port/classify")
[ "$code" = 415 ] || fail "a text file was answered with $code instead of 415"

say "passed: $image, $(size)"
