#!/bin/sh
# Installs the Debian packages whose servers and clients the tests start; names what cannot be had.
set -u
cd "$(dirname "$0")/.." || exit 1
exim=.cache/exim
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
want "/usr/lib/*/perl5/*/Net/SSLeay.pm" libnet-ssleay-perl
want /usr/bin/neomutt neomutt
want /usr/bin/faketime faketime
want /usr/bin/groff groff-base
want /usr/bin/systemd-analyze systemd
want /usr/bin/strace strace
want /usr/bin/systemd-nspawn systemd-container
want /usr/sbin/debootstrap debootstrap
want "/usr/lib/*/libgnutls-dane.so.0" libgnutls-dane0
want "/usr/lib/*/libidn.so.12" libidn12
# What only the long tests use: large, and not for every run.
if [ "${1:-}" = long ]; then
    want /usr/bin/chromium chromium
    want /usr/bin/lintian lintian
    want /usr/bin/dh debhelper
fi
# Exim's package would remove Postfix: it is unpacked for the tests; of the libraries that it needs two are above.
unpacked() { [ -e /usr/sbin/exim4 ] || [ -e "$exim/usr/sbin/exim4" ]; }
unpack() {
    box=$(mktemp -d) && mkdir -p "$exim" || return 1
    (cd "$box" && apt-get download -qq exim4-daemon-light) && dpkg-deb -x "$box"/exim4-daemon-light_*.deb "$exim"
    got=$?
    rm -rf "$box"
    return $got
}
# RT would install a web server and two hundred packages of Perl: they are unpacked, and its paths made to lead there.
rt=.cache/rt
rt_there() { [ "${1:-}" != long ] || [ -e "$rt/usr/sbin/rt-setup-database-5" ]; }
unpack_rt() {
    box=$(mktemp -d) && mkdir -p "$rt" "$box/partial" || return 1
    $sudo apt-get install -qq -y --no-install-recommends --download-only -o Dir::Cache::archives="$box" request-tracker5 rt5-db-sqlite rt5-db-postgresql &&
        for package in "$box"/*.deb; do dpkg-deb -x "$package" "$rt" || return 1; done &&
        here=$(cd "$rt" && pwd) &&
        sed -i "s#'/usr/#'$here/usr/#; s#'/etc/#'$here/etc/#; s#'/var/#'$here/var/#" "$rt/usr/share/request-tracker5/lib/RT/Generated.pm"
    got=$?
    $sudo rm -rf "$box"
    return $got
}
# Of Prometheus they need the program that tries alert rules, and no server.
prometheus=.cache/prometheus
rules_there() { [ "${1:-}" != long ] || [ -e "$prometheus/usr/bin/promtool" ]; }
unpack_rules() {
    box=$(mktemp -d) && mkdir -p "$prometheus" || return 1
    (cd "$box" && apt-get download -qq prometheus) && dpkg-deb -x "$box"/prometheus_*.deb "$prometheus"
    got=$?
    rm -rf "$box"
    return $got
}
[ -z "$need" ] && unpacked && rt_there "$@" && rules_there "$@" && exit 0
sudo=; [ "$(id -u)" = 0 ] || sudo="sudo -n"
unpacked && exim4="" || exim4=" exim4"
rt_there "$@" || exim4="$exim4 request-tracker5"
rules_there "$@" || exim4="$exim4 prometheus"
echo "installing for the tests:$need$exim4"
echo "postfix postfix/main_mailer_type select No configuration" | $sudo debconf-set-selections >/dev/null 2>&1
log=$(mktemp)
# RUNLEVEL=1: Debian starts none of them by itself; the tests start their own.
if ! { $sudo apt-get update -qq && { [ -z "$need" ] || $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends $need; } && { unpacked || unpack; } && { rt_there "$@" || unpack_rt; } && { rules_there "$@" || unpack_rules; }; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "could not install:$need$exim4; tests that need them fail under CI=true and are named as skipped otherwise" >&2
    [ "${CI:-}" = true ] && exit 1
fi
rm -f "$log"
exit 0
