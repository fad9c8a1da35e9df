#!/bin/sh
# Start nginx as the reverse proxy of docker-compose.yml. ADDRESS is where the host listens, PASSWORD opens the page.
set -eu

refuse() {
    echo "larder: $1" >&2
    exit 1
}

case "$PASSWORD" in
    *:*) refuse "LARDER_PASSWORD has a colon in it, which ends a password in nginx's file of them" ;;
    "")
        PAGE_AUTH=off
        case "$ADDRESS" in
            127.* | localhost | ::1 | "[::1]") ;;
            *) refuse "ADDRESS=$ADDRESS opens the page to the network: set LARDER_PASSWORD, or none to let everybody in" ;;
        esac
        ;;
    none) PAGE_AUTH=off ;;
    *)
        PAGE_AUTH=Larder
        (umask 077 && printf 'larder:{PLAIN}%s\n' "$PASSWORD" > "$RUN/password")
        ;;
esac
RESOLVER=$(awk '$1 == "nameserver" {print $2; exit}' /etc/resolv.conf) # containers: the engine's own
export PAGE_AUTH RESOLVER
# shellcheck disable=SC2016 # envsubst wants the names
envsubst '$LISTEN $API $UI $RESOLVER $MAX_BODY $RUN $PAGE_AUTH' < "$(dirname "$0")/nginx.conf.template" > "$RUN/nginx.conf"
exec nginx -e stderr -c "$RUN/nginx.conf" -g "daemon off; ${DIRECTIVES:-}"
