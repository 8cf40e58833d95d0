#!/usr/bin/env bash
# A timer from a shell: start, read, change and follow it over HTTP.
#
#     bash curl.sh [SECONDS]
#
# Needs curl 7.76 or newer and the gateway (`make web`, or compose's profile `web`), at GATEWAY_URL, by default
# http://127.0.0.1:8080, with GATEWAY_TOKEN where it asks for one. It prints
#
#     started: running, 2000 ms to go
#     extended: running, 3000 ms to go
#     event: started
#     event: extended
#     event: fired
set -euo pipefail

gateway=${GATEWAY_URL:-http://127.0.0.1:8080}
seconds=${1:-2}
id=shell/$(date +%s)-$$-$RANDOM

# A server that is away for a while (502, 503) is asked again, which is safe: the id and the key stay the same.
curl=(curl --silent --show-error --fail-with-body --retry 6 --retry-connrefused --header 'Content-Type: application/json')
[[ -n ${GATEWAY_TOKEN:-} ]] && curl+=(--header "Authorization: Bearer $GATEWAY_TOKEN")
request() { "${curl[@]}" --max-time 40 "$@"; }

# The value of a member of a JSON object that is a number or a plain text; jq reads them all.
member() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }

tell() { printf '%s: %s, %s ms to go\n' "$1" "$(member state <<<"$2")" "$(member remaining_ms <<<"$2")"; }

cursor=$(request "$gateway/timers?prefix=$id" | member cursor) # where the events stand before the first of this timer
started=$(request --request PUT --data "{\"seconds\": $seconds}" "$gateway/timer?id=$id")
tell started "$started"
extended=$(request --header "Idempotency-Key: $id" --data '{"seconds": 1}' "$gateway/timer/extend?id=$id")
tell extended "$extended"

# `%20` ends the id: without it the events of ids that begin so are told as well.
exec 3< <(exec "${curl[@]}" --no-buffer "$gateway/events?prefix=$id%20&after=$cursor")
follower=$!
trap 'kill "$follower" 2>/dev/null || true' EXIT
while IFS= read -r line <&3; do
    [[ $line == data:*'"kind"'* ]] || continue
    kind=$(member kind <<<"$line")
    echo "event: $kind"
    [[ $kind == fired || $kind == cancelled ]] && exit
done
echo "the stream has ended" >&2
exit 1
