import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { compare } from './compare.ts';

const identity = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_AUTHOR_DATE: '2024-01-02T03:04:05Z',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_COMMITTER_DATE: '2024-01-02T03:04:05Z',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_PAGER: 'cat',
  GIT_TERMINAL_PROMPT: '0',
};

test('init, add, commit, branch, merge, checkout, log, diff, stash, gc, clone, fetch', {
  timeout: patient(180_000),
}, async () => {
  const { bare } = await compare({
    env: identity,
    script: `
      set -e
      git init -q -b main origin; cd origin
      mkdir -p src/deep; for i in $(seq 40); do echo "file $i" > src/file$i; done; ln -s file1 src/link; echo run > src/deep/tool
      chmod +x src/deep/tool; printf '*.o\\n' > .gitignore; touch x.o; git add .; git status --short | head -3; git commit -qm 'First'
      git log --format='%H %an %s'; git switch -qc topic; echo change >> src/file1; git rm -q src/file2; git mv src/file3 src/moved
      git commit -qam 'Topic'; git switch -q main; echo other > src/other; git add src/other; git commit -qm 'Other'
      git merge -q --no-edit topic; git log --graph --format='%h %s'; git diff --stat HEAD~1; git show --stat HEAD | cat
      git tag -a v1 -m 'Version 1'; git checkout -q v1~1; cat src/other; git checkout -q main; ls -l src/link | cut -c1-10
      echo unsaved >> src/file5; git stash -q; git stash list; git stash pop -q; git diff; git checkout -q -- src/file5
      git gc -q --prune=now; git count-objects -v | grep -v size; git fsck --full; git rev-parse HEAD HEAD^{tree}
      cd ..; git clone -q origin clone; git clone -q --bare --no-local origin bare.git; cd clone
      git log --format=%h | wc -l; git status -sb; echo more > more; git add more; git commit -qm 'More'; git push -q origin HEAD:refs/heads/pushed
      git pull -q --rebase; cd ../origin; git branch -v; git grep -n change | cat; git blame -s src/file1; git reset -q --hard HEAD~1
      git reflog | wc -l; git archive HEAD src | tar t | wc -l; git worktree add -q ../tree topic; git worktree list | wc -l; git clean -ndx
      printf '#!/bin/sh\\necho "hook says no"; exit 1\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit
      echo x > y; git add y; git commit -qm 'No' || echo refused; git bundle create -q ../all.bundle --all; git ls-remote ../all.bundle | wc -l`,
    // The index holds inode numbers and times, the packs depend on how the threads shared the work.
    volatile:
      /(^|\/)(index|logs\/.*|ORIG_HEAD|FETCH_HEAD|[^/]*\.(pack|idx|rev|bundle|bitmap)|packs|commit-graph|refs\/stash)$/,
  });
  expect(bare.stdout).toContain('refused');
  expect(bare.stderr).toContain('hook says no');
});
