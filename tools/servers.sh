#!/bin/sh
# Installs the Debian packages whose servers and clients the tests start; names what cannot be had.
set -u
need=""
want() { # a path that the package brings, the package
    for path in $1; do [ -e "$path" ] && return; done
    need="$need $2"
}
want "/usr/lib/postgresql/*/bin/postgres" postgresql
want /usr/sbin/postfix postfix
want /usr/sbin/dovecot dovecot-imapd
want /usr/lib/dovecot/lmtp dovecot-lmtpd
want /usr/bin/swaks swaks
want /usr/bin/neomutt neomutt
want /usr/bin/faketime faketime
want /usr/bin/systemd-analyze systemd
want /usr/bin/strace strace
[ -z "$need" ] && exit 0
sudo=; [ "$(id -u)" = 0 ] || sudo="sudo -n"
echo "installing for the tests:$need"
echo "postfix postfix/main_mailer_type select No configuration" | $sudo debconf-set-selections >/dev/null 2>&1
log=$(mktemp)
if ! { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $need; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "could not install:$need; tests that need them fail under CI=true and are named as skipped otherwise" >&2
    [ "${CI:-}" = true ] && exit 1
fi
rm -f "$log"
exit 0
