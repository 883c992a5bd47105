#!/usr/bin/env bash
# The demo site: extensions 201-208 for Polycom phones, 209 and 210 for generic devices. Made once; what was made is
# kept in SITE/demo.txt (0600) so that the next start can print it. A real site is made with `strowger` instead.
set -euo pipefail
site=$1 ready=$2
cli=(build/strowger --site "$site")
notes=$site/demo.txt
url=$(sed -n 's/.* http=\([^ ]*\).*/\1/p' <<<"$ready")
sip=$(sed -n 's/.* sip=\([^ ]*\).*/\1/p' <<<"$ready")
pin_of() { case $1 in 201) echo 4071;; 202) echo 5182;; 203) echo 6293;; 204) echo 7304;; 205) echo 8415;; 206) echo 9526;; 207) echo 1637;; 208) echo 2748;; 209) echo 3859;; *) echo 4960;; esac; }
name_of() { case $1 in 201) echo "Ada";; 202) echo "Bruno";; 203) echo "Chloe";; 204) echo "Dmitri";; 205) echo "Emma";; 206) echo "Farid";; 207) echo "Greta";; 208) echo "Hiro";; 209) echo "Softphone 209";; *) echo "Softphone 210";; esac; }
if [ ! -s "$notes" ] && [ "$("${cli[@]}" --json show extensions | tr -d ' \n')" = '[]' -o ! -e "$notes" ]; then
  umask 077
  : >"$notes.new"
  for e in 201 202 203 204 205 206 207 208 209 210; do
    if "${cli[@]}" extension add $e --name "$(name_of $e)" --pin "$(pin_of $e)" >/dev/null; then
      echo "extension $e  PIN $(pin_of $e)  $(name_of $e)" >>"$notes.new"
    fi
  done
  for e in 209 210; do
    { echo; echo "generic device on $e:"; "${cli[@]}" device add $e --generic; } >>"$notes.new" || true
  done
  mv "$notes.new" "$notes"
fi
cat <<EOF

Strowger is running. SIP $sip (UDP, TCP), provisioning $url

$(sed 's/^/  /' "$notes" 2>/dev/null)

Try, each in its own terminal:
  build/vphone --model VVX410  --mac 0004f2000201 --server $url --user 201 --password $(pin_of 201)
  build/vphone --model SPIP650 --mac 0004f2000202 --server $url --user 202 --password $(pin_of 202)
  ... then dial 202 on the first. 9196 is the echo test, 9197 a milliwatt, 9198 a tone.
  build/strowger --site $site show phones      (also: show calls, show registrations, show cdr)
Ctrl-C ends it.

EOF
