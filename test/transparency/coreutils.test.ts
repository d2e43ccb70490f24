import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { compare } from './compare.ts';

const words = ['pear', 'apple', 'fig', 'cherry', 'banana', 'apple', 'date', ''].join('\n');

function scene(folder: string): void {
  mkdirSync(join(folder, 'tree/deep/er'), { recursive: true });
  mkdirSync(join(folder, 'tree/a folder with spaces'));
  writeFileSync(join(folder, 'words'), words);
  writeFileSync(join(folder, 'table'), 'one:1:uno\ntwo:2:due\nthree:3:tre\n');
  writeFileSync(join(folder, 'tree/file'), 'a file\n', { mode: 0o640 });
  writeFileSync(join(folder, 'tree/deep/er/script'), '#!/bin/sh\necho script "$@"\n', { mode: 0o755 });
  writeFileSync(join(folder, 'tree/a folder with spaces/newline\nname'), 'x');
  writeFileSync(join(folder, 'tree/empty'), '');
  symlinkSync('../words', join(folder, 'tree/to-words'));
  symlinkSync('deep/er', join(folder, 'tree/to-deep'));
  symlinkSync('nowhere', join(folder, 'tree/dangling'));
  symlinkSync('loop', join(folder, 'tree/loop'));
}

describe.each([
  [
    'pipelines of sort, uniq, cut, tr, wc, head and tail',
    `
    sort words | uniq -c | sort -rn | head -3
    cut -d: -f2,3 table | tr 1-3 a-c | paste -sd,
    wc -lwc words table
    tail -n 2 words; tac words | head -1; nl words | tail -1
    yes | head -5 | wc -l; seq 1 2000 | sort -R --random-source=table | sort -n | sha256sum
    comm -12 <(sort words) <(echo apple); join -t: table table | sed -n '$p' | awk -F: '{ print $NF }'
    (exit 3) | cat; echo "\${PIPESTATUS[@]}"`,
  ],
  [
    'sort with files of its own to merge',
    `
    seq 200000 -1 1 > many; sort -n -S 200K -T tmp many | sha256sum; ls tmp | wc -l; rm many`,
  ],
  [
    'ls -lR, stat and du',
    `
    touch -d '2024-02-03 04:05:06' words tree/file tree/empty tree; touch -h -d '2024-02-03 04:05:06.789' tree/dangling tree/to-words
    ls -R tree; ls -ln --time-style=full-iso words tree/file tree/dangling; ls -lab --time-style=+ tree | cut -c1-10
    stat -c '%n %F %a %h %s %Y %N' words tree tree/file tree/to-words tree/dangling
    stat -L -c '%F' tree/to-words; stat tree/nothing; stat -L -c %F tree/dangling
    stat -f -c '%T %S' .; du -a --apparent-size tree/deep | sort; ls -d /proc/self tree/*/; ls -i words | wc -w`,
  ],
  [
    'cp -a, mv, rm -rf and install',
    `
    touch -d '2020-01-01 00:00' tree/file; ln tree/file tree/hard; cp -a tree copy; stat -c '%n %a %h %Y' copy/file copy/hard
    diff -r --no-dereference tree copy && echo same; mv copy moved; test -e copy || echo gone; mv moved/file moved/deep/
    cp words words.bak; mv -f words.bak table; cat table | wc -l; cp -r tree/nothing . ; cp -u words tree/to-words
    install -m 751 -D words sub/dir/installed; install -d -m 700 sub/private; stat -c '%n %a' sub/dir/installed sub/private
    rm -rf moved; ls moved; rm -r tree/deep; rmdir tree; ls tree | wc -l; rm nothing; rm -f nothing; echo $?`,
  ],
  [
    'links, readlink and realpath',
    `
    ln -s words sym; ln words hard; ln -sfn tree sym2; readlink sym sym2; readlink -f sym2/to-deep/script sym2/dangling
    readlink -f tree/loop; realpath tree/to-deep tree/../words sym2/to-words; realpath -e tree/dangling
    realpath --relative-to=tree words; stat -c %h words; ln -s x sym; ln words hard; cat tree/loop; cd -P sym2/to-deep && pwd -P
    ln -sr ../../../words here; readlink here; cat here | head -1; unlink here; ls`,
  ],
  [
    'chmod, umask and touch',
    `
    chmod 1755 words; stat -c %a words; chmod a+t,g-x tree; stat -c %a tree; chmod -t tree; chmod -R go-rwx tree; stat -c '%n %a' tree tree/file tree/deep/er/script
    umask 077; : > private; umask 002; mkdir shared; stat -c '%n %a' private shared; chmod u-w,a+X tree/file; stat -c %a tree/file
    touch -d '2001-09-09 01:46:40 UTC' table; stat -c %Y table; touch -r table words; stat -c %Y words; touch new; test -s new; echo $?
    touch -a -d '@1' words; stat -c '%X %Y' words; touch -c nothing; ls nothing; chmod 600 nothing; mkdir -p -m 711 x/y/z; stat -c %a x/y/z x`,
  ],
  [
    'tee, xargs, mktemp, split, dd, truncate and od',
    `
    echo both | tee one two | cat - one two; printf '%s\\0' a 'b c' | xargs -0 -n1 echo item; seq 20 | xargs -P4 -n5 echo | sort
    f=$(mktemp) && echo temp > "$f" && cat "$f" && rm "$f"; d=$(mktemp -d -p . tmp.XXXX) && stat -c '%F %a' "$d" && rmdir "$d"
    split -l 3 words part-; ls part-*; dd if=words of=block bs=4 skip=1 count=2 2> /dev/null; od -c block
    truncate -s 1M sparse; stat -c %s sparse; truncate -s 3 words; cat words; echo; dd if=/dev/zero bs=64k count=16 2> /dev/null | md5sum
    head -c 10 /dev/zero | xxd 2> /dev/null | wc -l; cmp words table; echo $?; sync words; fold -w 2 table | head -2`,
  ],
  [
    'text that ends in errors',
    `
    cat nothing; cat tree; cat < nothing; cd nothing; mkdir tree; rmdir tree; mv nothing x; cp words tree/file/x; ls words/
    echo x > tree; echo x > /dev/full; cat /proc/self/nothing; ./words; ./tree/deep; nosuchprogram; echo end $?`,
  ],
  [
    'dates, environment and identity',
    `
    env | grep -c .; env -i A=b /usr/bin/env; printenv HOME; id -u; id -g; whoami; pwd; umask; ulimit -n; nproc; uname -s; hostname
    date -u -d '@0' +%F; TZ=Europe/Berlin date -d '@0' +%R; nice -n 5 nice; timeout 5 true; echo $?; timeout 0.2 sleep 20; echo $?
    tty; test -t 0; echo $?; groups; getent passwd root | cut -d: -f1; locale charmap 2> /dev/null; stdbuf -oL echo buffered`,
  ],
  [
    'df, free space and mounts',
    `
    df --output=target . | tail -n +2; df -P nothing; stat -f -c %l .; findmnt -n -o TARGET /proc 2> /dev/null; mountpoint -q /proc; echo $?`,
  ],
])('%s', (_title, script) => {
  test('the same bare and held', { timeout: patient(120_000) }, async () => {
    const { bare } = await compare({ script: `${script}\ntrue`, prepare: scene });
    expect(bare.stdout).not.toBe('');
  });
});
