import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  deny,
  fake,
  type HoldfastError,
  type Policy,
  type RedirectProgram,
  redirect,
  type SandboxedProcess,
} from 'holdfast';
import { describe, expect, test } from 'vitest';
import { attack, expectHeld } from '../boundary/race.ts';
import { program } from '../helpers/build-programs.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const python = '/usr/bin/python3';

function scene(): { folder: string; policy: Policy; show: string; other: string } {
  const folder = temporaryFolder('verdicts');
  for (const name of ['show', 'other']) {
    copyFileSync(program('proc_show'), join(folder, name));
    chmodSync(join(folder, name), 0o755);
  }
  writeFileSync(join(folder, 'script'), `#!${folder}/other fixed\n`, { mode: 0o755 });
  return {
    folder,
    policy: { files: { read: [folder, program('proc_exec')], write: [folder] } },
    show: join(folder, 'show'),
    other: join(folder, 'other'),
  };
}

const shown = (argv: string[], environment = '') =>
  `leader yes\n${argv.map((each, i) => `${i} [${each}]\n`).join('')}SHOWN=${environment}\n`;

describe('redirect of an exec', () => {
  test.each(['plain', 'thread', 'many-threads', 'vfork', 'spawn', 'shared', 'fd', 'path-fd', 'at'])(
    'made by %s: another program, its arguments, its environment',
    async (how) => {
      const { folder, policy, show, other } = scene();
      const run = async (to: RedirectProgram) => {
        const { stdout, stderr } = await runSandboxed(program('proc_exec'), [how, show, 'one', 'two'], {
          policy,
          cwd: folder,
          env: { SHOWN: 'own' },
          hooks: (child) => child.onExec({ path: show }, () => redirect(to)),
        });
        return stdout + stderr;
      };
      expect(await run({ path: other })).toBe(shown([show, 'one', 'two'], 'own'));
      expect(await run({ path: other, argv: ['x'] })).toBe(shown(['x'], 'own'));
      expect(await run({ path: other, argv: ['x', '', 'z'], env: { SHOWN: 'given', A: 'b' } })).toBe(
        shown(['x', '', 'z'], 'given'),
      );
      expect(await run({ path: join(folder, 'script'), env: {} })).toBe(
        shown([other, 'fixed', join(folder, 'script'), 'one', 'two']),
      );
    },
  );

  test("of the command's own start, with more than a slot holds", async () => {
    const { folder, policy, show, other } = scene();
    const value = 'v'.repeat(100_000);
    const { stdout, violations } = await runSandboxed(show, ['one'], {
      policy,
      cwd: folder,
      hooks: (child) => child.onExec(() => redirect({ path: other, argv: ['a', 'b'], env: { SHOWN: value } })),
    });
    expect(violations).toEqual([]);
    expect(stdout).toBe(shown(['a', 'b'], value));
  });

  test('many at once, each with its own', async () => {
    const { folder, policy, other } = scene();
    const script = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ./show $i >out$i & done; wait; cat out*';
    const { stdout } = await runSandboxed('/bin/sh', ['-c', script], {
      policy,
      cwd: folder,
      hooks: (child) =>
        child.onExec({ path: join(folder, 'show') }, async ({ argv }) =>
          redirect({ path: other, argv: ['x', `got ${argv[1]}`], env: { SHOWN: 'y'.repeat(9_000) } }),
        ),
    });
    for (let i = 1; i <= 12; i++) expect(stdout).toContain(`1 [got ${i}]\nSHOWN=yyyy`);
  });

  test('a deny rule holds there, an allow rule need not; who fails goes on with its own call', async () => {
    const { folder, show, other } = scene();
    const run = async (path: string, policy: Policy) => {
      const script = './show mine; echo $?; /bin/echo after';
      const hooks = { [show]: path };
      return runSandboxed('/bin/sh', ['-c', script], {
        policy,
        cwd: folder,
        hooks: (child) => child.onExec({ path: show }, (call) => redirect({ path: hooks[call.path] as string })),
      });
    };
    const denied = await run(other, { exec: { deny: [{ path: other, argv: ['mine'] }] } });
    expect(denied.stdout).toBe('126\nafter\n');
    expect(denied.violations.find(({ path }) => path === other)).toMatchObject({ rule: 'exec.deny[0]' });
    expect((await run(other, { exec: ['/bin/echo', '/bin/sh'] })).stdout).toBe(
      `${shown(['./show', 'mine'])}33\nafter\n`,
    );
    expect((await run(join(folder, 'nothing'), {})).stdout).toBe('127\nafter\n');
    expect((await run(folder, {})).stdout).toBe('126\nafter\n');
  });

  test.each(['thread', 'vm'])(
    'its arguments are those that were judged or given, whatever changes by %s',
    async (mode) => {
      const folder = temporaryFolder('verdict-race');
      mkdirSync(join(folder, 'A'));
      const path = join(folder, 'A/program');
      copyFileSync(program('race_exec'), path);
      const args = (rounds: number) => [mode, 'argument', rounds, join(folder, 'A'), join(folder, 'B')];
      const policy = { files: { read: [folder] } };
      const given = await attack('race_exec', args(3), {
        policy,
        hooks: (child) => child.onExec({ path }, () => redirect({ path, argv: ['program', 'good'] })),
      });
      expectHeld(given);
      expect(given.race.refusals).toBe(0);
      const own = await attack('race_exec', args(60), {
        policy,
        hooks: (child) =>
          child.onExec({ path }, ({ argv }) => (argv.includes('good') ? redirect({ path }) : deny('EACCES'))),
      });
      expectHeld(own);
    },
  );

  test('what it cannot be', () => {
    const bad: [object, RegExp][] = [
      [{ path: 'relative' }, /not an absolute path/],
      [{ path: '/x', args: [] }, /'args' is not a field here \(path, argv, env are\)/],
      [{ path: '/x', argv: [] }, /begins with argv\[0\]/],
      [{ path: '/x', argv: ['a', 'b\0'] }, /argv\[1\]: .*without NUL/],
      [{ path: '/x', env: { 'A=B': 'x' } }, /'A=B' is not a name/],
      [{ path: '/x', env: { A: 3 } }, /env\.A: 3 is not text/],
      [{ path: '/x', argv: ['x'.repeat(127_000)] }, /take 1270\d\d bytes, and 126000 are possible/],
      [{ signal: 'SIGNONE' }, /'SIGNONE' is not a signal/],
      [{ pid: -1 }, /-1 is not the number of a process/],
    ];
    for (const [value, message] of bad) expect(() => redirect(value as never)).toThrow(message);
  });
});

describe('fake', () => {
  test('a change that is not made, and that the program believes', async () => {
    const { folder, policy } = scene();
    writeFileSync(join(folder, 'file'), 'x');
    const script =
      'mkdir made && rm file && mv show moved && chmod 000 other && ln other linked && ln -s a sym && mkfifo pipe && touch -d 1970-01-01 script && cd / && echo done';
    const { stdout, violations } = await runSandboxed('/bin/sh', ['-c', script], {
      policy,
      cwd: folder,
      hooks: (child) => {
        const all = () => fake();
        child
          .onMkdir(all)
          .onUnlink(all)
          .onRename(all)
          .onChmod(all)
          .onLink(all)
          .onSymlink(all)
          .onMknod(all)
          .onUtimes(all);
        child.onChdir({ path: '/' }, () => fake(0));
      },
    });
    expect(stdout).toBe('done\n');
    expect(violations.filter(({ path }) => path?.startsWith(folder))).toEqual([]);
    for (const name of ['made', 'moved', 'linked', 'sym', 'pipe']) expect(existsSync(join(folder, name))).toBe(false);
    for (const name of ['file', 'show', 'other']) expect(existsSync(join(folder, name))).toBe(true);
  });

  test('of sockets and signals', async () => {
    const script = `
import os, signal, socket, time
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(udp.sendto(b'hello', ('127.0.0.1', 9)), udp.sendmsg([b'ab', b'cde'], [], 0, ('127.0.0.1', 9)), udp.sendto(b'hello', ('127.0.0.1', 10)))
udp.connect(('127.0.0.1', 11)); udp.bind(('127.0.0.1', 12))
print(udp.getsockname()[1] != 12)
pid = os.fork()
if pid == 0:
  time.sleep(0.2); os._exit(7)
os.kill(pid, signal.SIGKILL)
print(os.waitpid(pid, 0)[1] >> 8)
`;
    const { stdout, stderr } = await runSandboxed(python, ['-c', script], {
      hooks: (child) => {
        child.onSend({ port: 9 }, () => fake()).onSend({ port: 10 }, () => fake(3));
        child
          .onConnect(() => fake())
          .onBind(() => fake())
          .onSignal(() => fake());
      },
    });
    expect(stderr).toBe('');
    expect(stdout).toBe('5 5 3\nTrue\n7\n');
  });

  test('is refused where it makes no sense, by the compiler and at run time', async () => {
    const errors: HoldfastError[] = [];
    const { stdout } = await runSandboxed(
      '/bin/sh',
      ['-c', 'mkdir x 2>/dev/null || echo refused; cat /dev/null || echo refused'],
      {
        hooks: (child) => {
          child.on('hookError', (error) => errors.push(error));
          child.onMkdir(() => fake(7) as never).onOpen({ path: '/dev/null', access: 'read' }, () => fake() as never);
        },
      },
    );
    expect(stdout).toBe('refused\nrefused\n');
    expect(errors.map(({ code }) => code)).toEqual(['ERR_HOLDFAST_INVALID_VERDICT', 'ERR_HOLDFAST_INVALID_VERDICT']);
    expect(() => fake(-1)).toThrow(/deny\(\) gives an errno/);
    expect(() => fake(1.5)).toThrow(/not an integer/);
  });
});

describe('redirect of signals, bind and send', () => {
  test('another signal, and another process of the tree', async () => {
    const script = `
import os, signal, sys, time
def child(code):
  pid = os.fork()
  if pid == 0:
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(code))
    os.write(w, b'.')
    while True: time.sleep(1)
  os.read(r, 1)
  return pid
r, w = os.pipe()
a, b = child(1), child(2)
os.kill(b, signal.SIGTERM)
os.kill(a, signal.SIGTERM)
print(os.waitpid(-1, 0)[1] >> 8, flush=True)
os.kill(a, signal.SIGTERM)
print(os.waitpid(-1, 0)[1] >> 8, flush=True)
`;
    const asked: number[] = [];
    const { stdout, stderr, violations } = await runSandboxed(python, ['-c', script], {
      hooks: (child) =>
        child.onSignal(({ targetPid }) => {
          asked.push(targetPid);
          // The first one tells who the other process is.
          if (asked.length === 1) return fake();
          return redirect(asked.length === 2 ? { signal: 'SIGUSR1', pid: asked[0] as number } : { signal: 'SIGUSR1' });
        }),
    });
    expect(stderr).toBe('');
    expect(stdout).toBe('2\n1\n');
    expect(violations).toEqual([]);
  });

  test('not to a process outside the tree', async () => {
    const script = `
import os, signal
try: os.kill(os.getpid(), 0)
except OSError as error: print(error.errno)
`;
    const { stdout, violations } = await runSandboxed(python, ['-c', script], {
      hooks: (child) => child.onSignal(() => redirect({ pid: process.pid })),
    });
    expect(stdout).toBe('1\n');
    expect(violations.map(({ reason }) => reason)).toContain('a hook redirected the signal out of the tree');
  });

  test('another address, unless a rule denies it', async () => {
    const script = `
import socket
one, two = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
one.bind(('127.0.0.1', 1))
print(one.getsockname()[1] > 1024)
two.bind(('127.0.0.1', 0))
port = two.getsockname()[1]
try: one.sendto(b'x', ('127.0.0.1', 2))
except OSError as error: print(error.errno)
one.sendto(b'%d' % port, ('127.0.0.1', 3))
print(one.recv(9) == b'%d' % port)
`;
    let bound = 0;
    const { stdout, stderr } = await runSandboxed(python, ['-c', script], {
      policy: { network: { bind: ['127.0.0.1:0-65535'], deny: ['127.0.0.1:4'] } },
      hooks: (child) =>
        child
          .onBind({ port: 1 }, () => {
            bound = 20_000 + (process.pid % 10_000);
            return redirect({ address: '127.0.0.1', port: bound });
          })
          .onSend({ port: 2 }, () => redirect({ address: '127.0.0.1', port: 4 }))
          .onSend({ port: 3 }, () => redirect({ address: '127.0.0.1', port: bound })),
    });
    expect(stderr).toBe('');
    expect(stdout).toBe('True\n13\nTrue\n');
  });
});

describe('redirect of unix sockets', () => {
  const script = `
import os, socket, sys
folder = sys.argv[1]
def step(act):
  try: print(act())
  except OSError as error: print(os.strerror(error.errno))
def server(name, kind=socket.SOCK_STREAM):
  s = socket.socket(socket.AF_UNIX, kind); s.bind(name)
  if kind == socket.SOCK_STREAM: s.listen(4)
  return s
def client(name):
  s = socket.socket(socket.AF_UNIX); s.connect(name); return s
`;
  const run = (rest: string, folder: string, policy: Policy, hooks: (child: SandboxedProcess) => void) =>
    runSandboxed(python, ['-c', script + rest, folder], { policy, cwd: folder, hooks });

  test('a connection, a binding and what is sent go to another path, also one that no rule gives', async () => {
    const folder = temporaryFolder('given');
    const other = temporaryFolder('elsewhere');
    const long = join(other, 'l'.repeat(150), 'socket');
    mkdirSync(join(long, '..'));
    const { stdout, stderr, violations } = await run(
      `
kept = server('kept')
step(lambda: kept.getsockname())
step(lambda: client('kept').getpeername())
step(lambda: kept.accept()[0].recv(0))
step(lambda: client('missing'))
long = server('long')
step(lambda: long.getsockname())
step(lambda: server('too-long'))
d = server('datagram', socket.SOCK_DGRAM)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
step(lambda: s.sendto(b'one', 'anywhere'))
step(lambda: s.sendmsg([b'tw', b'o'], [], 0, 'anywhere'))
step(lambda: (d.recv(9), d.recv(9)))
print(os.listdir('.'))
`,
      folder,
      { files: { read: [folder], write: [folder] } },
      (child) =>
        child
          .onBind(({ address }) => {
            if (address.endsWith('kept')) return redirect(join(other, 'kept'));
            if (address.endsWith('too-long')) return redirect(join(other, 't'.repeat(108)));
            return address.endsWith('long') ? redirect(long) : undefined;
          })
          .onConnect(({ address }) => redirect(join(other, address.slice(folder.length + 1))))
          .onSend(({ address }) => (address.endsWith('anywhere') ? redirect(join(folder, 'datagram')) : undefined)),
    );
    expect(stderr).toBe('');
    const named = join(other, 'kept');
    expect(stdout.trimEnd().split('\n')).toEqual([
      named,
      named,
      "b''",
      'No such file or directory',
      'socket',
      'File name too long',
      '3',
      '3',
      "(b'one', b'two')",
      "['datagram']",
    ]);
    expect(readdirSync(other).sort()).toEqual(['kept', 'l'.repeat(150)]);
    expect(existsSync(long)).toBe(true);
    expect(violations).toEqual([]);
  });

  test('not where a rule denies it, nor by a link that the tree has planted', async () => {
    const folder = temporaryFolder('given');
    const denied = temporaryFolder('denied');
    const { stdout, violations } = await run(
      `
os.symlink('${denied}/there', 'planted')
os.symlink('${denied}', 'way')
step(lambda: client('one'))
step(lambda: client('two'))
step(lambda: server('three'))
step(lambda: server('four'))
`,
      folder,
      {
        files: { read: [folder], write: [folder], deny: [denied] },
        network: { connect: ['unix:/'], bind: ['unix:/'] },
      },
      (child) => {
        child.onConnect(({ address }) =>
          redirect(address.endsWith('one') ? join(denied, 'there') : join(folder, 'planted')),
        );
        child.onBind(({ address }) =>
          redirect(address.endsWith('three') ? join(denied, 'new') : join(folder, 'way/new')),
        );
      },
    );
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line).not.toMatch(/socket/);
    expect(existsSync(join(denied, 'new'))).toBe(false);
    expect(violations.map(({ rule }) => rule)).toContain('files.deny[0]');
  });

  test('only from a path to a path: anything else is a typed error, and nothing is done', async () => {
    const folder = temporaryFolder('given');
    const errors: HoldfastError[] = [];
    const { stdout } = await run(
      `
step(lambda: client('path'))
step(lambda: client('within'))
step(lambda: client('\\0abstract'))
step(lambda: socket.create_connection(('127.0.0.1', 9)))
`,
      folder,
      { files: { read: [folder], write: [folder] } },
      (child) => {
        child.on('hookError', (error) => errors.push(error));
        child.onConnect(({ address }) => {
          if (address.endsWith('path')) return redirect({ address: '127.0.0.1', port: 9 });
          return address.endsWith('within') ? redirect('x', { within: folder }) : redirect(join(folder, 'x'));
        });
      },
    );
    expect(stdout).toBe('Permission denied\n'.repeat(4));
    expect(errors.map(({ code, event }) => [code, event])).toEqual(
      Array(4).fill(['ERR_HOLDFAST_INVALID_VERDICT', 'connect']),
    );
  });

  test('what is swapped in its place meanwhile is not reached', async () => {
    const folder = temporaryFolder('given');
    const other = temporaryFolder('secret');
    // Outside the tree, who is not to be reached.
    const { stdout, stderr } = await run(
      `
import threading
target = server('target')
stop = []
def swap():
  while not stop:
    os.rename('target', 'away'); os.symlink('${other}/secret', 'target'); os.unlink('target'); os.rename('away', 'target')
thread = threading.Thread(target=swap); thread.start()
made = refused = 0
for i in range(400):
  try: client('x').close(); made += 1; target.accept()[0].close()
  except OSError: refused += 1
stop.append(1); thread.join()
print(made > 0, refused > 0, made + refused)
`,
      folder,
      { files: { read: [folder], write: [folder] } },
      (child) => child.onConnect(() => redirect(join(folder, 'target'))),
    );
    expect(stderr).toBe('');
    expect(stdout).toBe('True True 400\n');
  });
});
