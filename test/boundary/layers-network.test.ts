// Calls on sockets on each layer (docs/performance.md): random rules and calls, decided by the kernel, by the supervisor and
// beside a hook, compared with each other and with a naive reading of the rules. And what is left to the kernel reaches nothing
// that the supervisor would refuse.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, realpathSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { checkSupport, type Policy, type SandboxPlan, spawnSandboxed } from 'holdfast';
import { afterAll, describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { unusedPort } from '../helpers/ports.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from '../lifecycle/host.ts';
import { linesUntil } from '../lifecycle/tree.ts';
import { answersOf, generator, type Random, seeds } from './drawn.ts';

const { EACCES, EPERM } = constants.errno;
const landlock = checkSupport().landlockAbi ?? 0;
const everything = ['*', 'unix:/', 'unix:@*'];
const open: (() => void)[] = [];
afterAll(() => {
  for (const close of open) close();
});

interface Scene {
  root: string;
  tcp4: number;
  tcp6: number;
  udp: number;
  unused: number;
  abstract: string;
}

interface Call {
  op: string;
  kind: string;
  address: string;
  port: number;
}

async function listening(where: object): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => {}).destroy());
  server.listen(where);
  await once(server, 'listening');
  open.push(() => server.close());
  return server;
}
const portOf = (server: Server) => (server.address() as { port: number }).port;

/** Servers of every kind, outside. */
async function serve(root: string, name: string): Promise<Scene> {
  for (const folder of ['', 'srv', 'srv/in', 'own']) mkdirSync(join(root, folder), { recursive: true });
  const abstract = `holdfast-layers-${process.pid}-${name}`;
  const tcp4 = portOf(await listening({ host: '127.0.0.1', port: 0 }));
  const tcp6 = portOf(await listening({ host: '::1', port: 0 }));
  for (const path of ['srv/sock', 'srv/in/sock']) await listening({ path: join(root, path) });
  await listening({ path: `\0${abstract}\0` });
  const udp = await unusedPort();
  const receivers: ChildProcess = spawn(program('network_calls'), { stdio: ['pipe', 'pipe', 'inherit'] });
  open.push(() => receivers.kill('SIGKILL'));
  const lines = [
    ['kb', 'udp4', '127.0.0.1', udp],
    ['kb', 'dpath', join(root, 'srv/datagrams'), 0],
    ['kb', 'dabstract', `${abstract}-d`, 0],
  ];
  receivers.stdin?.write(lines.map((line) => `${line.join('\t')}\n`).join(''));
  let told = '';
  for await (const chunk of receivers.stdout as AsyncIterable<Buffer>) {
    told += chunk;
    if (told.length >= 6) break;
  }
  expect(told).toBe('0\n0\n0\n');
  return { root, tcp4, tcp6, udp, unused: await unusedPort(), abstract };
}

function drawCall(random: Random, { root, tcp4, tcp6, udp, unused, abstract }: Scene): Call {
  const kind = random.pick(
    ['tcp4', 'tcp4', 'tcp6', 'udp4', 'udp4', 'udp6', 'path', 'dpath', 'abstract', 'dabstract'].concat(
      'netlink',
      'none',
    ),
  );
  const op = random.pick([
    ...(kind.includes('udp') ? 'ccbsmMr' : kind[0] === 'd' ? 'cbsmM' : kind === 'path' ? 'cccbl' : 'cccblLFfsm'),
  ]);
  const four = random.pick(['127.0.0.1', '127.0.0.1', '127.0.0.2']);
  const six = random.pick(['::1', '::1', '::ffff:127.0.0.1']);
  const port = 'bl'.includes(op) ? random.pick([0, unused]) : random.pick([tcp4, udp, tcp6, unused]);
  const path = random.pick([
    `${op === 'b' ? 'own' : 'srv'}/${kind === 'dpath' ? 'datagrams' : 'sock'}`,
    'srv/in/sock',
    'own/new',
    'own/../srv/sock',
  ]);
  const address = kind.endsWith('path')
    ? `${root}/${path}`
    : kind.endsWith('abstract')
      ? random.pick([kind[0] === 'd' ? `${abstract}-d` : abstract, `${abstract}-other`])
      : kind.endsWith('6')
        ? six
        : four;
  return { op, kind, address, port };
}

function drawPolicy(random: Random, { root, tcp4, tcp6, udp, unused, abstract }: Scene): Policy {
  const list = () => {
    if (random.below(3) > 0) return everything;
    const some = [
      '*',
      'unix:/',
      'unix:@*',
      `127.0.0.1:${tcp4}`,
      '127.0.0.0/8',
      `[::1]:${tcp6}`,
      `127.0.0.1:${udp}`,
      `*:${unused}`,
    ].concat([`unix:${root}/srv`, `unix:${root}/own`, `unix:@${abstract}*`, `127.0.0.1:0`]);
    return Array.from({ length: random.below(4) }, () => random.pick(some));
  };
  const connect = list().filter((text) => text !== '127.0.0.1:0');
  const bind = list();
  const deny =
    random.below(3) > 0
      ? []
      : [
          {
            address: random.pick(['127.0.0.1', `*:${udp}`, `unix:${root}/srv/in`, `unix:@${abstract}`]),
            operations: random.pick([['connect'], ['bind'], ['connect', 'bind']]) as ('connect' | 'bind')[],
          },
        ];
  const files =
    random.below(4) > 0 ? [] : [{ path: join(root, random.pick(['srv', 'srv/in'])), access: ['write'] as 'write'[] }];
  const write = random.below(3) > 0 ? [] : [join(root, random.pick(['srv', 'own']))];
  return { files: { metadata: ['/'], write, deny: files }, network: { connect, bind, deny } };
}

/** The rules, read naively; undefined where this reading has nothing to say. */
function judged({ network = {}, files = {} }: Policy, { op, kind, address, port }: Call): boolean | undefined {
  if (kind === 'netlink' || kind === 'none' || op === 'L') return undefined;
  const operation = 'bl'.includes(op) ? 'bind' : 'connect';
  const allows = network[operation] ?? [];
  const denies = (network.deny as { address: string; operations: string[] }[])
    .filter(({ operations }) => operations.includes(operation))
    .map((each) => each.address);
  const host = address.replace('::ffff:', '');
  const covers = (rule: string): boolean => {
    if (rule.startsWith('unix:@')) {
      if (!kind.endsWith('abstract')) return false;
      const name = rule.slice('unix:@'.length);
      return name.endsWith('*') ? address.startsWith(name.slice(0, -1)) : address === name;
    }
    if (rule.startsWith('unix:') || kind.endsWith('path') || kind.endsWith('abstract')) return false;
    const [, place = '', only] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(rule) ?? [];
    if (only !== undefined && Number(only) !== port) return false;
    return (
      place === '*' || place.replace(/[[\]]/g, '') === host || (place === '127.0.0.0/8' && host.startsWith('127.'))
    );
  };
  if (!kind.endsWith('path')) return !denies.some(covers) && allows.some(covers);
  let folder: string;
  try {
    folder = realpathSync(dirname(address));
  } catch {
    return undefined;
  }
  const path = join(folder, address.split('/').at(-1) ?? '');
  const depth = (rules: readonly string[]) =>
    Math.max(
      -1,
      ...rules.map((rule) =>
        rule === '/' ? 0 : path === rule || path.startsWith(`${rule}/`) ? rule.split('/').length : -1,
      ),
    );
  const unix = (rules: readonly string[]) =>
    depth(rules.filter((rule) => rule.startsWith('unix:/')).map((rule) => rule.slice(5)));
  const [allowed, denied] = [unix(allows), unix(denies)];
  const refused = depth((files.deny as { path: string }[]).map((each) => each.path));
  if (Math.max(allowed, denied) > refused) return allowed > denied;
  return depth(files.write as string[]) > refused;
}

async function compare(seed: number, scene: Scene, seen: Set<string>): Promise<void> {
  const random = generator(seed + 11);
  const policy = drawPolicy(generator(seed + 5), scene);
  const calls = Array.from({ length: 60 }, () => drawCall(random, scene));
  const results: Record<string, string[]> = {};
  for (const layer of ['kernel', 'supervisor', 'hook']) {
    const files = { ...policy.files, ...(layer === 'supervisor' && { metadata: [] }) };
    const child = spawnSandboxed(program('network_calls'), [], { policy: { ...policy, files }, cwd: '/' });
    // Without an opinion, so that the rules decide.
    if (layer === 'hook') for (const hook of ['onConnect', 'onSend', 'onBind'] as const) child[hook](() => {});
    const closed = once(child as never, 'close');
    const { classes } = await child.plan();
    for (const name of ['connect', 'send', 'bind'] as const) seen.add(`${name}: ${classes[name].layer}`);
    if (layer !== 'kernel')
      for (const name of ['connect', 'send', 'bind'] as const) expect(classes[name].layer).toBe(layer);
    // What the calls before have made is there for all three alike.
    const answers = await answersOf(child, calls, ({ op, kind, address, port }) => [
      op,
      kind,
      address.replace(/own\/(?=\w)/, `own/${layer}-`),
      port,
    ]);
    await closed;
    results[layer] = answers;
    for (const [i, call] of calls.entries()) {
      const what = `seed ${seed}, ${layer}: ${JSON.stringify(call)}, ${JSON.stringify(policy)}`;
      const allowed = judged(policy, call);
      if (allowed === false) expect(Number(answers[i]), what).not.toBe(0);
      if (allowed === true && call.op !== 'r') expect([EACCES, EPERM], what).not.toContain(Number(answers[i]));
    }
  }
  for (const [i, call] of calls.entries()) {
    const what = `seed ${seed}: ${JSON.stringify(call)} in call ${i}, ${JSON.stringify(policy)}`;
    expect(results.kernel?.[i], what).toBe(results.supervisor?.[i]);
    // A hook on sending is asked where a packet goes, so nothing may send it elsewhere.
    if (call.op !== 'r') expect(results.hook?.[i], what).toBe(results.supervisor?.[i]);
  }
}

test(
  'random rules, sockets and calls: every layer decides the same',
  async () => {
    const seen = new Set<string>();
    const scene = await serve(temporaryFolder('layers-network'), 'drawn');
    for (const seed of seeds) await compare(seed, scene, seen);
    if (landlock === 0) return;
    // The comparison says something only if it met both.
    expect([...seen]).toEqual(
      expect.arrayContaining(
        ['connect', 'send', 'bind'].flatMap((name) => [`${name}: kernel`, `${name}: supervisor`, `${name}: hook`]),
      ),
    );
  },
  patient(300_000),
);

describe('with all addresses left to the kernel', () => {
  const policy: Policy = { files: { metadata: ['/'] }, network: { connect: everything, bind: everything } };
  type Prepare = (child: ReturnType<typeof spawnSandboxed>) => void;

  async function planOf(of: Policy, prepare: Prepare = () => {}): Promise<SandboxPlan['classes']> {
    const child = spawnSandboxed('/bin/true', [], { policy: of, cwd: '/', stdio: 'ignore' });
    prepare(child);
    const closed = once(child as never, 'close');
    const { classes } = await child.plan();
    await closed;
    return classes;
  }

  /** Under the rules that leave everything to the kernel, and with the same calls held. */
  async function both(script: string, of: Policy, args: string[] = []) {
    const left = await runSandboxed('/usr/bin/python3', ['-c', script, ...args], { policy: of, cwd: '/' });
    const held = await runSandboxed('/usr/bin/python3', ['-c', script, ...args], {
      policy: of,
      cwd: '/',
      hooks: (child) => {
        for (const hook of ['onConnect', 'onSend', 'onBind'] as const) child[hook](() => {});
      },
    });
    return { left, held };
  }

  test.runIf(landlock > 0)('the plan says what keeps a class held (needs Landlock)', async () => {
    const changes = ({ obstacles }: { obstacles: readonly { change?: string }[] }) =>
      obstacles.flatMap(({ change }) => change ?? []);
    const { connect, send, bind } = await planOf(policy, (child) => child.on('violation', () => {}));
    for (const each of [connect, send, bind]) expect(each).toEqual({ layer: 'kernel', obstacles: [] });
    const hooked = await planOf(policy, (child) => child.onConnect({ port: 80 }, () => {}));
    expect(hooked.connect).toEqual({
      layer: 'hook',
      obstacles: [{ why: 'a hook hears of connect', change: 'no onConnect' }],
    });
    expect([hooked.send.layer, hooked.bind.layer]).toEqual(['kernel', 'kernel']);
    const some = await planOf({ ...policy, network: { connect: ['*:1-65535', 'unix:/'], bind: everything } });
    expect(changes(some.connect)).toEqual(["policy.network.connect: with '*', 'unix:@*', too"]);
    expect([some.connect.layer, some.send.layer, some.bind.layer]).toEqual(['supervisor', 'supervisor', 'kernel']);
    const denied = await planOf({
      ...policy,
      network: { ...policy.network, deny: [{ address: '10.0.0.0/8', operations: ['bind'] }] },
    });
    expect(denied.connect.layer).toBe('kernel');
    expect(changes(denied.bind)).toEqual(['a policy without network.deny[0]']);
    const socket = await planOf({ ...policy, files: { metadata: ['/'], deny: [{ path: '/run', access: ['write'] }] } });
    expect(changes(socket.connect)).toEqual(["access: ['read', 'exec', 'metadata'] in files.deny[0]"]);
    expect(changes((await planOf({ network: policy.network ?? {} })).send)).toEqual(["policy.files.metadata: ['/']"]);
    expect((await planOf(policy)).exec).toMatchObject({ layer: 'supervisor', obstacles: [{}, {}, {}] });
  });

  test.runIf(landlock > 0)(
    'a socket behind another process’s links in /proc is not reached (needs Landlock)',
    async () => {
      const folder = temporaryFolder('behind');
      await listening({ path: join(folder, 'sock') });
      const other = spawn('sleep', ['60'], { cwd: folder, stdio: 'ignore' });
      open.push(() => other.kill('SIGKILL'));
      const script = `
import socket, sys
for way in ('cwd/sock', 'root' + sys.argv[2] + '/sock', 'task/' + sys.argv[1] + '/cwd/sock'):
    try: socket.socket(socket.AF_UNIX).connect('/proc/' + sys.argv[1] + '/' + way); print('reached', way)
    except OSError: print('no')
socket.socket(socket.AF_UNIX).connect(sys.argv[2] + '/sock'); print('by name')
`;
      const { left, held } = await both(script, policy, [String(other.pid), folder]);
      for (const { stdout } of [left, held]) expect(stdout).toBe('no\nno\nno\nby name\n');
    },
  );

  test('names of sockets are made by bind alone, and stay names', async () => {
    const folder = temporaryFolder('names');
    const script = `
import os, socket, stat, sys
def step(what):
    try: what(); print('ok')
    except OSError as error: print(error.errno)
os.chdir(sys.argv[1])
name = sys.argv[1] + '/' + sys.argv[2] + os.environ.get('X', '')
step(lambda: socket.socket(socket.AF_UNIX).bind(name))
step(lambda: os.mknod(name + '-made', stat.S_IFSOCK | 0o600))
step(lambda: os.rename(name, name + '-other'))
step(lambda: os.link(name, name + '-linked'))
step(lambda: os.unlink(name))
step(lambda: open(name + '-file', 'w'))
step(lambda: os.mkdir(name + '-folder'))
`;
    const read: Policy = { ...policy, files: { metadata: ['/'], read: [folder] } };
    const left = await runSandboxed('/usr/bin/python3', ['-c', script, folder, 'left'], { policy: read, cwd: '/' });
    const held = await runSandboxed('/usr/bin/python3', ['-c', script, folder, 'held'], {
      policy: read,
      cwd: '/',
      hooks: (child) => child.onBind(() => {}),
    });
    expect(left.stdout).toBe(`ok\n${`${EACCES}\n`.repeat(6)}`);
    expect(held.stdout).toBe(left.stdout);
  });

  test('other families than those that rules judge cannot be made', async () => {
    const script = `
import socket
for family in (17, 38, 40, 31, 29, 21, 30, 43, 44):
    for kind in (1, 2, 3, 5):
        try: socket.socket(family, kind, 0); print('made', family)
        except OSError: pass
print('tried')
`;
    const { left, held } = await both(script, policy);
    for (const { stdout } of [left, held]) expect(stdout).toBe('tried\n');
  });

  test('a hook on connecting hears of a connection that is made by sending', async () => {
    const server = await listening({ host: '127.0.0.1', port: 0 });
    const ports: number[] = [];
    const calls = ['F', 'f', 's', 'm'].map((op) => `${op}\ttcp4\t127.0.0.1\t${portOf(server)}\n`).join('');
    const child = spawnSandboxed(program('network_calls'), [], { policy, cwd: '/' });
    child.onConnect(({ port }) => {
      ports.push(port ?? 0);
    });
    const { classes } = await child.plan();
    if (landlock > 0) expect([classes.connect.layer, classes.send.layer]).toEqual(['hook', 'kernel']);
    child.stdin.end(calls);
    await once(child as never, 'close');
    expect(ports).toEqual([portOf(server), portOf(server)]);
  });

  test('what is said of a name that was removed is the same on each layer', async () => {
    const folder = temporaryFolder('removed');
    const script = `
import os, socket, sys
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1] + '/' + sys.argv[2]); server.listen()
fd = os.open(sys.argv[1] + '/' + sys.argv[2], os.O_PATH)
os.unlink(sys.argv[1] + '/' + sys.argv[2])
try: socket.socket(socket.AF_UNIX).connect('/proc/self/fd/%d' % fd); print('reached')
except OSError as error: print(error.errno)
`;
    const writable = (metadata: string[], connect = everything): Policy => ({
      files: { write: [folder], metadata },
      network: { connect, bind: everything },
    });
    const answers = [];
    for (const [i, of] of [writable(['/']), writable([]), writable(['/'], ['unix:/'])].entries())
      answers.push(
        (await runSandboxed('/usr/bin/python3', ['-c', script, folder, `s${i}`], { policy: of, cwd: '/' })).stdout,
      );
    // What is open is known by the name that it had.
    expect(answers).toEqual(Array(3).fill('reached\n'));
  });

  test.runIf(landlock > 0 && process.getuid?.() === 0)(
    'a socket of another family in stdio keeps the calls held (needs Landlock, and root to make one)',
    async () => {
      const under = [
        '/usr/bin/python3',
        '-c',
        'import os, socket, sys; s = socket.socket(17, 2, 0); os.dup2(s.fileno(), 9); os.execvp(sys.argv[1], sys.argv[1:])',
      ];
      const host = startHost(
        `
const child = spawnSandboxed('/bin/true', [], { policy: ${JSON.stringify(policy)}, cwd: '/', stdio: ['ignore', 'ignore', 'ignore', Number(args[0])] });
const { classes } = await child.plan();
say(classes.connect.layer, classes.connect.obstacles[0]?.why);
say('end');`,
        ['9'],
        {},
        under,
      );
      const lines = await linesUntil(host.stdout, 'end');
      expect(lines[0]).toBe('supervisor the command is given a socket of a family that no rule can judge');
    },
  );
});
