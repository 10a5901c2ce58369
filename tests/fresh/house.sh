#!/bin/sh
# From a Debian with nothing but Python to a mail that is acknowledged and a doctor who finds nothing.
# house.sh PACKAGE: rtmail as a .deb or a .whl, with neighbours.py beside this script. Run as root. Each step says how long it is since
# the start, and what of the processors it all took.
set -eu
package=$1
here=$(cd "$(dirname "$0")" && pwd)
now() { date +%s%N; }
begun=$(now)
# What all processes in here used of the processors since they began, in ms: those that live, and those that they waited for.
used() {
    cat /proc/[0-9]*/stat 2>/dev/null | sed "s/.*) //" |
        awk -v hz="$(getconf CLK_TCK)" "{ t += \$12 + \$13 + \$14 + \$15 } END { print int(t * 1000 / hz) }"
}
took() { echo "$1: $((($(now) - begun) / 1000000)) ms, $(used) ms of processors"; }
wait_for() { # up to 60 s for a command that succeeds
    tries=0
    until eval "$1"; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { echo "in vain: $1"; cat /root/log; exit 1; }
        sleep 0.1
    done
}

case $package in
    *.deb)
        dpkg -i "$package"
        venv=/usr/lib/rtmail
        ;;
    *.whl)
        useradd --system --user-group --home-dir /var/lib/rtmail --no-create-home --shell /usr/sbin/nologin rtmail
        install -d -o rtmail -g rtmail -m 0700 /var/lib/rtmail
        python3 -m venv /opt/rtmail
        /opt/rtmail/bin/pip install --quiet "$package"
        ln -s /opt/rtmail/bin/rtmail /usr/local/bin/rtmail
        venv=/opt/rtmail
        ;;
esac
took installed

$venv/bin/python "$here/neighbours.py" /root/relay &
echo "nameserver 127.0.0.1" > /etc/resolv.conf
wait_for '$venv/bin/python -c "import socket; socket.create_connection((\"127.0.0.1\", 2626))" 2>/dev/null'
rtmail init /etc/rtmail --site Acme --domain acme.example --admin ops@other.example --person jane="Jane Doe <jane@other.example>" \
    --relay smtp://127.0.0.1:2626
took configured

rtmail check
runuser -u rtmail -- $venv/bin/python -I -m rtmail serve --config /etc/rtmail/rtmail.toml 2>/root/log &
wait_for 'grep -qs event=started /root/log'
took serving

$venv/bin/python - <<'MAIL'
import smtplib

with smtplib.SMTP("127.0.0.1", 2525, timeout=60) as client:
    client.sendmail("bob@customer.example", ["support@acme.example"],
                    "From: Bob Roe <bob@customer.example>\r\nTo: support@acme.example\r\nSubject: Printer down\r\n"
                    "Message-ID: <1@customer.example>\r\n\r\nIt burns.\r\n")
MAIL
wait_for 'grep -qs "^X-Recipients: bob@customer.example" /root/relay/*.eml'
wait_for 'grep -qs "^X-Recipients: jane@other.example" /root/relay/*.eml'
took acknowledged

grep -h "^Subject:" "$(grep -l "^X-Recipients: bob@customer.example" /root/relay/*.eml)"
rtmail ticket list
rtmail backup /root/house.backup
rtmail doctor
took "doctor finds nothing"
rtmail audit
[ -z "$(find /var/lib/rtmail ! -user rtmail)" ] || { echo "root's files among the data:"; find /var/lib/rtmail ! -user rtmail; exit 1; }
