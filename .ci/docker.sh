# Sourced by run: a Docker daemon, and a base image of Debian's packages, since CI's machine reaches no image registry.
# What was there is used and left; a daemon that was started here is stopped when the script ends.

BASE=mlteam-base:debian12
DOCKERD_SECONDS=60

if ! docker info >/dev/null 2>&1; then
    if ! command -v dockerd >/dev/null; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends docker.io >/dev/null
    fi
    # A daemon that was killed leaves its number behind, and the next one takes whoever has it now for a daemon.
    pgrep -x dockerd >/dev/null || rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
    DOCKERD_LOG=$(mktemp)
    dockerd >"$DOCKERD_LOG" 2>&1 &
    DOCKERD=$!
    trap 'kill "$DOCKERD" 2>/dev/null; wait "$DOCKERD" || true; rm -f "$DOCKERD_LOG"' EXIT
    deadline=$((SECONDS + DOCKERD_SECONDS))
    until docker info >/dev/null 2>&1; do
        if ! kill -0 "$DOCKERD" 2>/dev/null || ((SECONDS > deadline)); then
            echo "dockerd does not answer:" >&2
            tail -n 20 "$DOCKERD_LOG" >&2
            exit 1
        fi
        sleep 0.2
    done
fi

if ! docker image inspect "$BASE" >/dev/null 2>&1; then
    if ! command -v debootstrap >/dev/null; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
    fi
    sandbox_image/make_base.sh "$BASE"
fi
