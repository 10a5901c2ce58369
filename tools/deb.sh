#!/bin/sh
# make deb: the Debian package of this checkout, built from a copy of it, into dist/ or the folder that is named.
set -eu
cd "$(dirname "$0")/.."
to=${1:-dist}
need=""
for one in dh:debhelper dpkg-buildpackage:dpkg-dev; do
    command -v "${one%%:*}" >/dev/null 2>&1 || need="$need ${one##*:}"
done
/usr/bin/python3 -c 'import ensurepip' >/dev/null 2>&1 || need="$need python3-venv"
if [ -n "$need" ]; then
    sudo=; [ "$(id -u)" = 0 ] || sudo="sudo -n"
    echo "installing to build the package:$need"
    if ! { $sudo apt-get update -qq && $sudo apt-get install -qq -y --no-install-recommends $need; } >/dev/null 2>&1; then
        echo "a Debian package is built with$need: apt-get install$need, then run make deb again" >&2
        exit 1
    fi
fi
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
mkdir "$box/rtmail"
cp -R rtmail templates config docs debian pyproject.toml README.md CHANGELOG.md LICENSE rtmail.service rtmail-smtp.socket "$box/rtmail"
find "$box" -name __pycache__ -prune -exec rm -r {} +
(cd "$box/rtmail" && dpkg-buildpackage --build=binary --no-sign --jobs=auto) >"$box/log" 2>&1 || { tail -n 40 "$box/log" >&2; exit 1; }
mkdir -p "$to"
for made in "$box"/*.deb; do
    cp "$made" "$to/"
    echo "$to/${made##*/}"
done
