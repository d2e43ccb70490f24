#!/bin/sh
# service.sh FOLDER COMMAND [ARG...]: runs a command as a service of the systemd that hosts.test.ts has started, and says what it said.
# FOLDER/options has lines for [Service].
set -eu
folder=$1
shift
name=holdfast-$$
manager=$(cat "$folder/manager")
inside="nsenter -t $manager -p -m -C"
for word; do printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")"; done > "$folder/$name.words"
{
  echo '#!/bin/sh'
  echo "cd '$PWD' || exit 97"
  printf "export HOLDFAST_ENGINE='%s' PATH='%s'\nexec" "${HOLDFAST_ENGINE:-auto}" "$PATH"
  cat "$folder/$name.words"
} > "$folder/$name.sh"
{
  printf '[Service]\nType=oneshot\nExecStart=/bin/sh %s/%s.sh\n' "$folder" "$name"
  printf 'StandardOutput=file:%s/%s.out\nStandardError=file:%s/%s.err\n' "$folder" "$name" "$folder" "$name"
  cat "$folder/options"
} | $inside sh -c "cat > /run/systemd/system/$name.service"
$inside systemctl daemon-reload
status=0
$inside systemctl start "$name.service" > /dev/null 2>&1 || status=$?
cat "$folder/$name.out"
cat "$folder/$name.err" >&2
exit $status
