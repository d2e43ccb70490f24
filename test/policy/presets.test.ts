// Named policies: the programs that each was tried with run under it alone, and what an attacker would want of it is not there.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compilePolicy, definePolicy, type PolicyName, spawnSandboxed } from 'holdfast';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { namedPolicies } from '../../lib/policy/named.ts';
import { presets } from '../../lib/policy/presets/presets.ts';
import { patient } from '../helpers/patience.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const names = Object.keys(presets) as (keyof typeof presets)[];
const home = temporaryFolder('home');
const hasTool = (name: string) => existsSync(`/usr/bin/${name}`);

function makeTree(folder: string, files: Record<string, string>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
  }
  return folder;
}

const identity = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b' };
const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: home, LANG: 'C.UTF-8', ...identity };

/** Each line by itself: what it printed, or `refused`. */
async function runs(policy: PolicyName, cwd: string, lines: readonly string[]): Promise<string[]> {
  const script = lines
    .map(
      (line) =>
        `( ${line} ) > "$TMPDIR/out" 2> "$TMPDIR/err" && tail -n 1 "$TMPDIR/out" || { echo refused; cat "$TMPDIR/err" >&2; }\necho --`,
    )
    .join('\n');
  const child = await runSandboxed('/bin/sh', ['-c', script], {
    policy,
    cwd,
    env,
    hooks: (child) => child.on('warning', ({ message }) => warnings.push(message)),
  });
  told = `${child.stderr}\n${child.violations.map(({ message }) => message).join('\n')}`;
  return child.stdout
    .split('--\n')
    .slice(0, -1)
    .map((text) => text.trim());
}
const warnings: string[] = [];
let told = '';

const before = process.env.HOME;
beforeAll(() => {
  process.env.HOME = home;
  makeTree(home, {
    '.npmrc': '//r/:_authToken=t',
    '.ssh/id_ed25519': 'key',
    '.gitconfig': '[user]\nname = x',
    '.netrc': 'x',
    'notes/n': 'n',
  });
});
afterAll(() => {
  process.env.HOME = before;
});

describe('run', { timeout: patient(60_000) }, () => {
  const made = Object.fromEntries(names.map((name) => [name, temporaryFolder('preset')])) as Record<string, string>;
  const folder = (name: string) => made[name] ?? '';
  const c = {
    'src/a.c': '#include <stdio.h>\nint main(void) { puts("made"); }\n',
    'src/b.cc': '#include <iostream>\nint main() { std::cout << "made"; }\n',
  };
  const make = 'all: a\na: src/a.c\n\tcc -o $@ $<\n';

  test('build: compilers and what drives them', async () => {
    const cwd = makeTree(folder('build'), {
      ...c,
      Makefile: make,
      configure:
        '#!/bin/sh\necho "int x;" > conftest.c && cc -c conftest.c && rm -f conftest.* && echo configured > config.status\n',
      'CMakeLists.txt': 'cmake_minimum_required(VERSION 3.13)\nproject(x C)\nadd_executable(y src/a.c)\n',
    });
    await runBare('git', ['init', '-q', '.'], { cwd, env });
    await runBare('git', ['commit', '-q', '--allow-empty', '-m', 'x'], { cwd, env });
    await runBare('git', ['tag', 'v7'], { cwd, env });
    const lines = [
      'make -s && ./a',
      'g++ -o b src/b.cc && ./b',
      './configure && cat config.status',
      'git describe --tags',
    ];
    const printed = ['made', 'made', 'configured', 'v7'];
    if (hasTool('cmake')) {
      lines.push(
        `cmake ${hasTool('ninja') ? '-G Ninja' : ''} -S . -B out > /dev/null && cmake --build out > /dev/null && out/y`,
      );
      printed.push('made');
    }
    expect(await runs('build', cwd, lines), told).toEqual(printed);
  });

  test('node: modules, workers, child processes, npm run', async () => {
    const cwd = makeTree(folder('node'), {
      'package.json': '{"type": "module", "scripts": {"hi": "node a.js"}}',
      'node_modules/dep/package.json': '{"type": "module", "exports": "./i.js", "bin": {"tool": "./i.js"}}',
      'node_modules/dep/i.js': '#!/usr/bin/env node\nexport default "dep";\n',
      'a.js': `import dep from 'dep'; import { Worker } from 'node:worker_threads'; import { execFileSync } from 'node:child_process';
        import { mkdtempSync } from 'node:fs'; import { tmpdir } from 'node:os';
        mkdtempSync(tmpdir() + '/x');
        new Worker('require("worker_threads").parentPort.postMessage(1)', { eval: true })
          .on('message', (one) => console.log(dep, one, String(execFileSync('node', ['-p', '2'])).trim()));`,
    });
    mkdirSync(join(cwd, 'inner'));
    const lines = ['node a.js', 'npm run -s hi', 'cd inner && node ../a.js'];
    expect(await runs('node', cwd, lines), told).toEqual(['dep 1 2', 'dep 1 2', 'dep 1 2']);
  });

  test('node: a package that is hoisted above the working directory', async () => {
    const project = makeTree(temporaryFolder('hoisted'), {
      'node_modules/dep/index.js': 'module.exports = "dep"',
      'packages/one/a.js': 'console.log(require("dep"))',
      '.env': 'secret',
    });
    const lines = ['node a.js', 'cat ../../.env', 'ls ../..'];
    expect(await runs('node', join(project, 'packages/one'), lines), told).toEqual(['dep', 'refused', 'refused']);
  });

  test('npm-install-script: compiles and writes in its own folder', async () => {
    const project = makeTree(temporaryFolder('install'), {
      'src/secret.js': 'secret',
      '.npmrc': 'token',
      'node_modules/dep/index.js': 'module.exports = "dep"',
      'node_modules/@s/own/Makefile': make,
      'node_modules/@s/own/src/a.c': c['src/a.c'],
      'node_modules/@s/own/install.js':
        'require("child_process").execFileSync("make", ["-s"]); console.log(require("dep"))',
    });
    const cwd = join(project, 'node_modules/@s/own');
    const lines = [
      'node install.js && ./a',
      'python3 -c "import json; print(1)"',
      'cat ../../../src/secret.js',
      'cat ../../../.npmrc',
      'echo x > ../../dep/index.js',
    ];
    expect(await runs('npm-install-script', cwd, lines), told).toEqual(['made', '1', 'refused', 'refused', 'refused']);
  });

  test('python: its library, a virtual environment, subprocesses', async () => {
    const cwd = makeTree(folder('python'), {
      'p.py':
        'import multiprocessing as m\ndef f(x): return x * x\nif __name__ == "__main__":\n  with m.Pool(2) as p: print(sum(p.map(f, [1, 2, 3])))\n',
      'm.py':
        'import subprocess, sqlite3, ssl, tempfile\ntempfile.mkdtemp()\nprint(subprocess.run(["echo", "ran"], capture_output=True, text=True).stdout)',
    });
    await runBare('/usr/bin/python3', ['-m', 'venv', '--without-pip', '.venv'], { cwd, env });
    const venv = '-c "import sys; print(sys.prefix != sys.base_prefix)"';
    const lines = [
      'python3 m.py | head -n 1',
      'python3 p.py',
      `.venv/bin/python ${venv}`,
      `python3 -m venv --without-pip "$TMPDIR/v" && "$TMPDIR/v/bin/python" ${venv}`,
      'python3 -m venv other',
    ];
    expect(await runs('python', cwd, lines), told).toEqual(['ran', '14', 'True', 'True', 'refused']);
  });

  test('git: a day’s work, and a clone', async () => {
    const cwd = folder('git');
    await runBare('git', ['init', '-q', '-b', 'main', '.'], { cwd, env });
    const lines = [
      'echo 1 > f && git add f && git commit -qm one && git log --oneline | wc -l',
      'git switch -qc other && echo 2 > g && git add g && git commit -qm two && git switch -q main && git merge -q other && git diff HEAD~1 --stat | tail -n 1',
      'echo 3 > f && git stash -q && git stash pop -q && git checkout -q f && git status --short | wc -l',
      'git gc -q && git clone -q . copy && git -C copy log --oneline | wc -l',
      'git init -q new && git -C new commit -q --allow-empty -m x && git -C new rev-parse --abbrev-ref HEAD',
      'git config user.name evil',
    ];
    const printed = ['1', '1 file changed, 1 insertion(+)', '0', '2', expect.stringMatching(/^ma/), 'refused'];
    expect(await runs('git', cwd, lines), told).toEqual(printed);
  });

  test('test: servers of its own, node:test, unittest', async () => {
    const server = `const s = require('http').createServer((_, r) => r.end('ok'));
      test('server', async () => {
        await new Promise((then) => s.listen(0, '127.0.0.1', then));
        const { port } = s.address();
        require('assert').equal(await (await fetch('http://127.0.0.1:' + port)).text(), 'ok');
        s.close();
      });`;
    const cwd = makeTree(folder('test'), {
      't/a.test.js': `const test = require('node:test'); ${server}`,
      't/test_a.py': 'import unittest\nclass T(unittest.TestCase):\n  def test_a(self): self.assertEqual(1, 1)\n',
    });
    const lines = [
      'node --test t/ | grep "^# pass"',
      'cd t && python3 -m unittest test_a && echo passed',
      'echo x > t/a.test.js',
    ];
    expect(await runs('test', cwd, lines), told).toEqual(['# pass 1', 'passed', 'refused']);
  });

  test('test: vitest', async () => {
    mkdirSync(join(root, 'build'), { recursive: true });
    // Where it finds vitest.
    const cwd = mkdtempSync(join(root, 'build', 'preset-'));
    try {
      makeTree(cwd, {
        'package.json': '{"type": "module"}',
        'x.test.js': "import { expect, test } from 'vitest'; test('a', () => { expect(1).toBe(1); });",
      });
      const lines = ['node ../../node_modules/vitest/vitest.mjs run --reporter=json | grep -o \'"numPassedTests":1\''];
      expect(await runs('test', cwd, lines), told).toEqual(['"numPassedTests":1']);
    } finally {
      rmSync(cwd, { recursive: true });
    }
  });

  test('agent: all of it', async () => {
    const cwd = makeTree(folder('agent'), {
      ...c,
      Makefile: make,
      '.env': 'secret',
      'app/.env.local': 'secret',
      'package.json': '{"scripts": {"hi": "echo hi"}}',
    });
    await runBare('git', ['init', '-q', '.'], { cwd, env });
    const lines = [
      'grep -rl puts src | sed s/src/found/',
      'make -s && ./a',
      'git add src && git commit -qm x && git log --oneline | wc -l',
      'npm run -s hi',
      'python3 -c "print(1)"',
      'cat .env',
      'cat app/.env.local',
      'mkdir .vscode',
      'echo x > .git/hooks/post-commit',
    ];
    const printed = ['found/a.c', 'made', '1', 'hi', '1', 'refused', 'refused', 'refused', 'refused'];
    expect(await runs('agent', cwd, lines), told).toEqual(printed);
  });

  test('nothing was warned of: what is not on this machine is no mistake', () => expect(warnings).toEqual([]));
});

describe('attack', { timeout: patient(60_000) }, () => {
  test.each(names)('%s: keys, tokens, other projects and others’ servers are out of reach', async (name) => {
    const cwd = makeTree(temporaryFolder('attack'), { 'own/x': '' });
    const socket = join(home, `${name}.sock`);
    const local = createServer().listen(socket);
    const service = createServer();
    // Below the ports that the kernel chooses.
    const port = await new Promise<number>((found) => {
      const attempt = (one: number) => {
        service.once('error', () => attempt(one + 1));
        service.listen(one, '127.0.0.1', () => found(one));
      };
      attempt(20_000);
    });
    symlinkSync(join(home, '.ssh'), join(cwd, 'link'));
    const python = (lines: string) => `python3 -c '${lines}'`;
    const lines = [
      'cat ~/.npmrc',
      'cat ~/.ssh/id_ed25519',
      'cat link/id_ed25519',
      'ls ~',
      'cat ~/notes/n',
      'cat ~/.gitconfig',
      'cat /etc/shadow',
      'echo x > ~/.bashrc',
      python(`import socket; socket.socket(socket.AF_UNIX).connect("${socket}")`),
      python('import socket; socket.socket(socket.AF_UNIX).connect("/run/docker.sock")'),
      python('import socket; socket.socket(socket.AF_UNIX).connect("\\0/tmp/.X11-unix/X0")'),
      python(`import socket; socket.create_connection(("127.0.0.1", ${port}))`),
      python('import socket; socket.create_connection(("192.0.2.1", 443), 1)'),
      python('import socket; socket.socket().bind(("0.0.0.0", 0))'),
    ];
    try {
      expect(await runs(name, cwd, lines)).toEqual(lines.map(() => 'refused'));
    } finally {
      local.close();
      service.close();
    }
  });

  test.each(['build', 'git', 'agent', 'npm-install-script'] as const)(
    '%s: what others execute later cannot be planted',
    async (name) => {
      const cwd = makeTree(temporaryFolder('plant'), { 'src/x': '' });
      const bare = temporaryFolder('plant');
      for (const one of [cwd, bare]) await runBare('git', ['init', '-q', '.'], { cwd: one, env });
      const lines = [
        'echo x > .git/hooks/post-checkout',
        'echo x >> .git/config',
        'echo ../evil > .git/commondir',
        'mkdir -p .git/modules/m && echo x > .git/modules/m/config',
        'mkdir -p .git/worktrees/w && echo x > .git/worktrees/w/commondir',
        'mv .git git',
        'mv .git/hooks .git/h',
        'mkdir h && ln -s "$PWD/h" .git/hooks/x',
        'rm -rf .git/config',
        'mkdir h2 && mv -T h2 .git/hooks',
        'ln .git/config c && echo x >> c',
        'mkdir .vscode',
        'echo x > .envrc',
        'ln -s src .husky',
        'mv src .claude',
        'mkdir d && mv d .github',
      ];
      expect(await runs(name, cwd, lines)).toEqual(lines.map(() => 'refused'));
      expect(readFileSync(join(cwd, '.git/config'), 'utf8')).toBe(readFileSync(join(bare, '.git/config'), 'utf8'));
      // The same without a sandbox does what it says.
      expect((await runBare('/bin/sh', ['-c', `${lines[0]} && ${lines[2]}`], { cwd: bare, env })).code).toBe(0);
    },
  );

  test.each(['build', 'git', 'agent', 'npm-install-script'] as const)(
    '%s: a folder that is no repository is not made one',
    async (name) => {
      const cwd = makeTree(temporaryFolder('none'), { 'evil/HEAD': 'ref: refs/heads/x', 'evil/config': '' });
      const lines = [
        'echo "gitdir: evil" > .git',
        'ln -s evil .git',
        'mv evil .git',
        'mkdir .git',
        'cp evil/HEAD HEAD',
        'mv evil/HEAD HEAD',
        'ln evil/HEAD HEAD',
        'mkdir n && cp evil/HEAD n && mv -T n HEAD',
      ];
      expect(await runs(name, cwd, lines)).toEqual(lines.map(() => 'refused'));
      expect(existsSync(join(cwd, '.git')) || existsSync(join(cwd, 'HEAD'))).toBe(false);
    },
  );

  test.each(names)('%s: a link that lies in the project leads nowhere', async (name) => {
    const project = makeTree(temporaryFolder('links'), { 'packages/one/a': '', 'packages/two/a': '' });
    const cwd = join(project, 'packages/one');
    for (const link of ['node_modules', 'coverage', '.venv', 'out']) symlinkSync(home, join(cwd, link));
    for (const above of [project, join(project, 'packages')]) symlinkSync(home, join(above, 'node_modules'));
    const lines = ['node_modules', 'coverage', '.venv', 'out', '../node_modules', '../../node_modules'].flatMap(
      (link) => [`cat ${link}/notes/n`, `echo x > ${link}/planted`],
    );
    expect(await runs(name, cwd, lines)).toEqual(lines.map(() => 'refused'));
    expect(existsSync(join(home, 'planted'))).toBe(false);
  });

  test('what else a policy gives does not give secrets back', async () => {
    const policy = { extends: 'build', files: { read: [home], write: [home] } } as const;
    const cwd = temporaryFolder('wide');
    const script = 'cat ~/notes/n; cat ~/.ssh/id_ed25519 ~/.npmrc ~/.netrc; echo x > ~/.ssh/authorized_keys';
    const { stdout } = await runSandboxed('/bin/sh', ['-c', script], { policy, cwd, env });
    expect(stdout).toBe('n');
    expect(existsSync(join(home, '.ssh/authorized_keys'))).toBe(false);
  });

  test('a home, what lies around one, and the root are no working directories', () => {
    for (const name of names) {
      for (const cwd of ['/', homedir(), dirname(homedir()), `${homedir()}/notes/..`]) {
        expect(() => spawnSandboxed('true', { policy: name, cwd }), `${name} ${cwd}`).toThrow(
          /choose a folder of the project/,
        );
        expect(() => compilePolicy({ extends: [{ extends: name }] }, { cwd })).toThrow(
          /choose a folder of the project/,
        );
      }
    }
    const link = join(temporaryFolder('link'), 'home');
    symlinkSync(home, link);
    expect(() => spawnSandboxed('true', { policy: 'build', cwd: link })).toThrow(/choose a folder of the project/);
    // Where nothing is started, nothing is given.
    expect(definePolicy({ extends: 'build' }, { cwd: '/' })).toEqual({ extends: 'build' });
  });
});

describe('names', () => {
  test('with and without a version are the same policy', () => {
    for (const name of [...names, 'compute'] as const) expect(namedPolicies[`${name}@1`]).toBe(namedPolicies[name]);
    expect(() => compilePolicy('build@2' as never)).toThrow(/did you mean 'build@1'/);
    expect(() => compilePolicy('biuld' as never)).toThrow(/did you mean 'build'/);
    expect(() => compilePolicy({ extends: ['build@1', 'node'] }, { cwd: temporaryFolder() })).not.toThrow();
  });

  test('the page’s table is what the data says', () => {
    const page = readFileSync(join(root, 'docs/policies.md'), 'utf8');
    for (const [name, versions] of Object.entries(presets)) {
      const { gives, triedWith } = versions.at(-1) ?? { gives: '', triedWith: [] };
      expect(page).toContain(`| \`${name}\` | ${versions.length} | ${gives} | ${triedWith.join(', ')} |`);
    }
  });
});
