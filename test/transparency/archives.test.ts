import { chmodSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { compare } from './compare.ts';

const timeout = patient(120_000);

function scene(folder: string): void {
  const tree = join(folder, 'tree');
  mkdirSync(join(tree, 'src/inner'), { recursive: true });
  mkdirSync(join(tree, 'closed'), { mode: 0o700 });
  for (let i = 0; i < 60; i++) writeFileSync(join(tree, `src/file${i}.txt`), `line one of ${i}\nneedle ${i % 7}\n`);
  writeFileSync(join(tree, 'src/inner/tool'), '#!/bin/sh\necho tool\n', { mode: 0o755 });
  mkdirSync(join(tree, 'src/sticky'));
  chmodSync(join(tree, 'src/sticky'), 0o1777);
  linkSync(join(tree, 'src/file1.txt'), join(tree, 'src/hard'));
  symlinkSync('src/inner', join(tree, 'soft'));
  symlinkSync('../nowhere', join(tree, 'dangling'));
  symlinkSync('/etc/passwd', join(tree, 'outward'));
  writeFileSync(join(tree, 'old'), 'old\n');
  writeFileSync(join(tree, 'binary'), Buffer.from([0, 1, 2, 110, 101, 101, 100, 108, 101, 0]));
  for (const [i, name] of ['old', 'src/file2.txt', 'src/file3.txt'].entries()) {
    utimesSync(join(tree, name), 1_000_000_000 + i, 1_000_000_000 + i);
  }
}

test('tar with symlinks, hard links, modes and times', { timeout }, async () => {
  const { bare } = await compare({
    prepare: scene,
    script: `
      tar --sort=name --mtime='2024-01-01 UTC' --owner=0 --group=0 --numeric-owner -cf all.tar tree; tar tvf all.tar | wc -l; sha256sum all.tar
      mkdir out; tar xpf all.tar -C out; diff -r --no-dereference tree out/tree && echo same
      cd out/tree; stat -c '%n %F %a %h %Y' src/hard src/file1.txt src/inner/tool closed src/sticky soft; readlink soft dangling outward; cd ../..
      tar czf all.tgz --exclude='*.txt' tree; tar xzOf all.tgz tree/src/inner/tool; tar cf - tree | (cd tmp && tar xf - && ls tree | wc -l)
      tar cJf all.txz tree && tar tJf all.txz | tail -1; tar rf all.tar --transform 's/^/added-/' old 2>&1; tar tf nothing.tar 2>&1; echo $?
      tar xf all.tar -C out --strip-components=1 tree/src 2>&1; ls out | sort | head -3; tar --delete -f all.tar tree/old; tar df all.tar | wc -l
      find tree | sort | cpio -o 2> /dev/null | wc -c; gzip -kn tree/old; zcat tree/old.gz; gunzip -f tree/old.gz; xz -k tree/old; xz -dc tree/old.xz`,
    volatile: /\.(tgz|txz|tar)$/,
  });
  expect(bare.stdout).toContain('same');
});

test('find with -newer, -exec, -delete, -perm, -links and -execdir', { timeout }, async () => {
  const { bare } = await compare({
    prepare: scene,
    script: `
      find tree | sort; find tree -newer tree/old -name 'file[23].txt' | sort; find tree -type f -exec cat {} + | wc -l
      find tree -name '*.txt' -exec grep -l 'needle 3' {} \\; | sort; find tree -type l -printf '%p -> %l\\n' | sort
      find -L tree -type l 2>&1 | sort; find tree -perm -u+x -type f | sort; find tree -links 2 -type f | sort; find tree -samefile tree/src/hard | sort
      find tree -size -2c -type f | sort; find tree -empty; find tree -mtime +3000 | sort; find tree -name tool -execdir ./tool \\;
      find tree -name 'file1*' -delete; find tree -type f | wc -l; find tree -maxdepth 1 -mindepth 1 -printf '%f %m\\n' | sort; find nothing; echo $?
      find tree -type f -print0 | xargs -0 -P2 -n10 wc -l | grep -c file; find . -inum $(stat -c %i tree/old); find tree -depth -type d | sort; true`,
  });
  expect(bare.stdout).toContain('tool');
});

test('grep -r, sed -i, diff -r, patch and awk over a tree', { timeout }, async () => {
  const { bare } = await compare({
    prepare: scene,
    script: `
      grep -rn 'needle 3' tree | sort; grep -rl needle tree --include='*.txt' | wc -l; grep -rc needle tree/src/inner; grep -r nothing tree; echo $?
      grep -rI needle tree/binary; grep -ra needle tree/binary | wc -c; grep -R one tree/soft 2>&1; grep -rh one tree | sort | uniq -c | sort -rn | head -2
      cp -a tree other; sed -i 's/needle 3/pin/' other/src/*.txt; diff -r --no-dereference tree other | grep -c pin; diff -ruN tree other --no-dereference > change
      awk '/^[+]pin/ { n++ } END { print n }' change; cp -a tree third; if command -v patch > /dev/null; then (cd third && patch -s -p1 < ../change); fi
      sed -n '$p' tree/src/file9.txt; awk 'FNR == 1 { files++ } END { print files }' tree/src/*.txt; sort -u tree/src/*.txt | wc -l`,
    volatile: /^change$/,
  });
  expect(bare.stdout).toContain('needle 3');
});
