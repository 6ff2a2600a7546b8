#!/usr/bin/env bash
# Make a base for the sandbox image of Debian's own packages, where no image registry can be reached: make_base.sh [NAME]
# Needs root, debootstrap and a Docker daemon.
set -euo pipefail
name=${1:-mlteam-base:debian12}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
debootstrap --variant=minbase --include=python3,python3-venv,python3-pip bookworm "$folder" >&2
# Left out: downloaded packages and lists, manuals, translations.
tar -C "$folder" --numeric-owner --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' \
    --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' -c . |
    docker import --message "debootstrap bookworm" - "$name"
