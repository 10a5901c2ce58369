#!/bin/sh
# Makes the virtual environment; where this Python lacks ensurepip, python3-venv is installed, or one line says what to do.
set -eu
python=$1 venv=$2
if ! command -v "$python" >/dev/null 2>&1; then
    echo "rtmail needs Python 3.11 or newer; '$python' is not there" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "rtmail needs Python 3.11 or newer; '$python' is $("$python" -V 2>&1)" >&2
    exit 1
fi
[ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 && exit 0
if ! "$python" -c 'import ensurepip' >/dev/null 2>&1; then
    sudo=; [ "$(id -u)" = 0 ] || sudo="sudo -n"
    if ! { command -v apt-get >/dev/null 2>&1 && $sudo apt-get update -qq && $sudo apt-get install -qq -y python3-venv; } >/dev/null 2>&1; then
        echo "this Python cannot make virtual environments: install python3-venv (apt-get install python3-venv), then run make again" >&2
        exit 1
    fi
fi
"$python" -m venv "$venv"
