import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { compare } from './compare.ts';

const timeout = patient(60_000);

test('background jobs, wait and exit statuses', { timeout }, async () => {
  const { bare } = await compare({
    script: `
      (sleep 0.1; exit 7) & first=$!
      (exit 0) & second=$!
      wait $first; echo first $?; wait $second; echo second $?; wait; echo all $?
      sleep 30 & victim=$!; kill $victim; wait $victim; echo killed $?
      { sh -c 'kill -ABRT $$'; } 2> /dev/null; echo abort $?
      for i in 1 2 3 4 5 6 7 8; do (echo $i > out.$i) & done; wait; cat out.* | sort | paste -sd+
      { sleep 0.05; echo late; } & echo early; wait -n; echo $?; jobs | wc -l
      coproc { while read -r line; do echo "<$line>"; done; }
      echo hello >&"\${COPROC[1]}"; read -r answer <&"\${COPROC[0]}"; echo "$answer"`,
  });
  expect(bare.stdout).toContain('killed 143');
});

test('job control with a process group for each job', { timeout }, async () => {
  const { bare } = await compare({
    script: `
      set -m
      sleep 30 & kill -STOP %1; wait %1; echo "stopped $?"; jobs -s | wc -l
      kill -CONT %1; jobs -r | wc -l; kill %1; wait %1; echo "ended $?"
      (sleep 30 & wait) & kill -TERM -- -$!; wait $!; echo "group $?"
      sleep 30 & disown; kill $!; echo done`,
    // What the shell tells of a job, and when, depends on whether it looks before or after the job has changed.
    normalise: (text) => text.replace(/^(.*(\b(Terminated|Stopped|Killed)\b|wait_for_job).*)?\n/gm, ''),
  });
  expect(bare.stdout).toContain('group 143');
});

test('traps, signals to itself and to its children', { timeout }, async () => {
  const { bare } = await compare({
    script: `
      trap 'echo usr1' USR1; trap 'echo leaving $?' EXIT; trap '' HUP; trap 'echo child' CHLD
      kill -USR1 $$; kill -HUP $$; /bin/true; trap - CHLD
      sh -c 'trap "echo inner term; exit 9" TERM; echo ready; while :; do sleep 0.05; done' > log & child=$!
      until grep -qs ready log; do sleep 0.02; done
      kill -TERM $child; wait $child; echo $?; cat log
      sh -c 'kill -SEGV $$'; echo $?; exit 4`,
    code: 4,
    normalise: (text) => text.replace(/^.*Segmentation fault.*$/gm, 'segfault'),
  });
  expect(bare.stdout).toContain('leaving 4');
});

test('here-documents, substitutions, arrays and redirections', { timeout }, async () => {
  await compare({
    script: `
      cat <<END | tr a-z A-Z
here $(echo document) with $((6 * 7))
END
      cat <<< "a string"; diff <(printf '1\\n2\\n') <(printf '1\\n3\\n'); echo $?
      tee >(wc -c > counted) <<< twelve > /dev/null; until [ -s counted ]; do sleep 0.02; done; cat counted
      exec 5> five; echo to five >&5; exec 5>&-; cat five; exec 6< five; read -r line <&6; echo "$line"; { echo x >&2; } 2>&1
      echo out > o; echo more >> o; cat < o > p; wc -l < p; set -o noclobber; echo no > o; echo $?
      printf '%s\\n' {a..e}{1..2} | wc -l; eval 'f() { local x=$1; echo $x; }'; f deep; echo /usr/bin/en[v]; echo $'tab\\there'
      read -r -t 1 nothing < /dev/null; echo $?; mapfile -t lines < p; echo "\${#lines[@]}"; type -t cat; command -v sh > /dev/null; echo $?
      big=$(head -c 300000 /dev/zero | tr '\\0' x); echo "\${#big}"; cat <<< "$big" | wc -c`,
  });
});

test('two processes that open the two ends of a FIFO', { timeout }, async () => {
  const { bare } = await compare({
    script: `
      mkfifo pipe back; stat -c %F pipe
      (for i in $(seq 50); do echo line $i; done > pipe) & cat pipe | tail -1; wait
      (while read -r line; do echo "got $line"; done < pipe > back) & exec 3> pipe 4< back
      echo one >&3; read -r answer <&4; echo "$answer"; echo two >&3; read -r answer <&4; echo "$answer"; exec 3>&- 4<&-; wait; echo $?
      for i in 1 2 3 4 5 6 7 8 9 10; do mkfifo f$i; (cat f$i > g$i) & done
      for i in 10 9 8 7 6 5 4 3 2 1; do echo $i > f$i; done; wait; cat g* | sort -n | paste -sd' '`,
  });
  expect(bare.stdout).toContain('got two');
});

test('a signal ends an open that waits for the other end of a FIFO', { timeout }, async () => {
  const { bare } = await compare({
    script: `
      mkfifo never
      sh -c 'echo x > never' & waiting=$!; sleep 0.3; kill $waiting; wait $waiting; echo $?
      timeout 0.3 cat never; echo $?
      bash -c 'trap "echo caught; exit 5" USR1; (sleep 0.3; kill -USR1 $$) & read -r x < never'; echo $?`,
  });
  expect(bare.stdout).toBe('143\n124\ncaught\n5\n');
});

test('a script read from standard input, and scripts that run each other', { timeout }, async () => {
  await compare({
    command: 'sh',
    args: [],
    input: `
      printf '#!/bin/sh\\necho one "$0" "$@"\\nexec ./two "$@"\\n' > one; printf '#!/usr/bin/env bash\\necho two "$@"; exit 3\\n' > two
      printf 'echo no interpreter line: "$1"\\n' > three; chmod +x one two three
      ./one a 'b c'; echo $?; ./three x; PATH=.:$PATH; three y; (cd /; pwd); cd tmp && ../one z; sh -c '. ../three w'
      exec echo done\n`,
  });
});

test('a shell that is interactive', { timeout }, async () => {
  await compare({
    command: 'bash',
    args: ['--norc', '--noprofile', '-i'],
    input: 'PS1=; sleep 20 &\nkill %1; wait %1; echo status $?\nsleep 0.1 | cat; echo piped $?\nexit 6\n',
    code: 6,
    normalise: (text) => text.replace(/\d{2,}/g, 'N').replace(/^.*(cannot set|no job control).*$/gm, ''),
  });
});

test('programs that use each other through a shell of pipes: 50 MB unharmed', { timeout }, async () => {
  const { bare } = await compare({
    script: "head -c 50000000 /dev/zero | tr '\\0' x | tee copy | sha256sum; wc -c < copy; rm copy",
  });
  expect(bare.stdout).toContain('50000000');
});
