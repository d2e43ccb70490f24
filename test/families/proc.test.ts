// procfs: a process finds itself there, and those of its tree; everybody else is not there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Policy, spawnSandboxed } from 'holdfast';
import { afterAll, describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

// /proc is allowed as a whole: what is not there is not a matter of rules.
const policy = { files: { ...policyFor().files, write: ['/proc', '/dev/null', '/dev/tty'] } };
const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', SHLVL: '1', SHOWN: 'in my environment' };
const secret = 'the-secret-of-a-bystander';
const bystander = spawn('sleep', ['1000'], { env: { PATH: '/usr/bin:/bin', SECRET: secret }, stdio: 'ignore' });

afterAll(() => {
  bystander.kill('SIGKILL');
});

describe('processes outside the tree', () => {
  const files = [
    'environ',
    'mem',
    'maps',
    'cmdline',
    'status',
    'stat',
    'fd/0',
    'cwd/.',
    'root/etc/hostname',
    'exe',
    'task',
    'ns/mnt',
    'map_files',
    'io',
    'fdinfo/0',
    'auxv',
    'oom_score_adj',
  ];

  test.each([
    ['a bystander of the same user', () => bystander.pid],
    ['the Node process', () => process.pid],
    ['the first process', () => 1],
  ])('%s: none of its files is there', async (_, pid) => {
    const script = files
      .map((name) => `head -c 100 /proc/${pid()}/${name} > /dev/null; ls -d /proc/${pid()}/${name}`)
      .join('\n');
    const { stdout, stderr } = await runSandboxed('sh', ['-c', script], { policy, env });
    expect(stdout).toBe('');
    const lines = stderr.trim().split('\n');
    expect(lines).toHaveLength(2 * files.length);
    expect(lines.filter((line) => !/No such file or directory/.test(line))).toEqual([]);
  });

  test('its environment stays secret by every name and every way (and is open without the sandbox)', async () => {
    const folder = temporaryFolder('proc');
    const pid = bystander.pid;
    const attack = `
      cat /proc/${pid}/environ; cat /proc/${pid}/task/${pid}/environ; cat /proc/self/../${pid}/environ; cd /proc && cat ${pid}/environ
      ln -s /proc/${pid} ${folder}/link; cat ${folder}/link/environ; cat < /proc/${pid}/environ; cd /proc/${pid} && cat environ; cat /proc/./${pid}//environ
      ${python} -S -c "
import os
fd = os.open('/proc', os.O_RDONLY | os.O_DIRECTORY)
for name in ('${pid}/environ', '${pid}'):
    try: print(os.read(os.open(name, os.O_RDONLY, dir_fd=fd), 4096))
    except OSError as error: print(error.errno)
"; grep -az SECRET /proc/[0-9]*/environ; ps eww ${pid}`;
    const bare = await runBare('sh', ['-c', attack], { env, cwd: folder });
    expect(bare.stdout.split(secret).length).toBeGreaterThan(8);
    const held = await runSandboxed('sh', ['-c', attack.replaceAll('/link', '/link2')], {
      policy: {
        files: {
          ...policy.files,
          write: [...policy.files.write, folder],
          read: [...(policy.files.read ?? []), folder],
        },
      },
      env,
      cwd: folder,
    });
    expect(held.stdout).not.toContain(secret);
    expect(held.stderr).not.toContain(secret);
  });

  test('nor can they be entered, watched or changed', async () => {
    const pid = bystander.pid;
    const script = `cd /proc/${pid}; cd /proc/${pid}/cwd; cd /proc/${pid}/root; echo 500 > /proc/${pid}/oom_score_adj; readlink /proc/${pid}/exe; chmod 700 /proc/${pid}/environ; stat /proc/${pid}; echo end`;
    const { stdout } = await runSandboxed('sh', ['-c', script], { policy, env });
    expect(stdout).toBe('end\n');
  });
});

describe('a process itself', () => {
  test('reads what it reads without the sandbox', async () => {
    const script = `
import os, re
for name in ('cmdline', 'comm', 'environ', 'limits', 'cgroup', 'mounts', 'mountinfo', 'oom_score_adj', 'personality', 'loginuid', 'uid_map', 'setgroups', 'autogroup', 'coredump_filter', 'statm', 'stat', 'status', 'maps', 'smaps', 'io', 'auxv', 'sched', 'wchan', 'syscall', 'timers', 'net/unix', 'net/tcp'):
    for where in ('/proc/self', '/proc/thread-self', f'/proc/{os.getpid()}', f'/proc/self/task/{os.getpid()}'):
        try:
            data = open(f'{where}/{name}', 'rb').read()
            steady = name in ('cmdline', 'comm', 'environ', 'limits', 'uid_map', 'setgroups', 'personality', 'coredump_filter', 'mounts')
            data = re.sub(rb'Max core file size.*', b'', data)  # none without Landlock (docs/security.md)
            print(where.replace(str(os.getpid()), 'PID'), name, data if steady else len(data) > 0)
        except OSError as error: print(where.replace(str(os.getpid()), 'PID'), name, error.errno)
for name in ('cwd', 'root', 'exe', 'fd/0', 'ns/pid', 'ns/mnt'):
    print(name, re.sub(r'\\d+', 'N', os.readlink(f'/proc/self/{name}')), os.path.exists(f'/proc/self/{name}'))
print(os.readlink('/proc/self') == str(os.getpid()), re.sub(r'\\d+', 'N', os.readlink('/proc/thread-self')))
print(os.path.realpath('/proc/self/cwd'), os.path.realpath('/dev/stdin')[:5] != '', sorted(os.listdir('/proc/self/fd'))[:3], os.listdir('/proc/self/task') == [str(os.getpid())])
fd = os.open('/proc/self/exe', os.O_RDONLY); print(os.read(fd, 4), os.path.samefile(f'/proc/self/fd/{fd}', '/proc/self/exe')); os.close(fd)
print(str(os.getpid()) in os.listdir('/proc'), open('/proc/self/root/etc/hostname').read() == open('/etc/hostname').read())
open('/proc/self/comm', 'w').write('renamed'); print(open('/proc/self/comm').read(), open('/proc/thread-self/comm').read())
open('/proc/self/oom_score_adj', 'w').write('700'); print(open('/proc/self/oom_score_adj').read())
for name in ('nothing', 'fd/999', 'task/1/comm', 'cwd/nothing', 'environ/x', '../nothing'):
    try: open(f'/proc/self/{name}')
    except OSError as error: print(name, error.errno)
`;
    const args = ['-S', '-c', script];
    const bare = await runBare(python, args, { env, cwd: '/' });
    expect(bare).toMatchObject({ code: 0, stderr: '' });
    const held = await runSandboxed(python, args, { env, cwd: '/', policy });
    expect(held.stderr).toBe('');
    expect(held.stdout.split('\n')).toEqual(bare.stdout.split('\n'));
  });

  test('its threads each have their own thread-self', async () => {
    const script = `
import os, threading
def look(found): found.append((os.readlink('/proc/thread-self').endswith(f'task/{threading.get_native_id()}'), open('/proc/thread-self/comm').read() != '', os.path.exists(f'/proc/self/task/{threading.get_native_id()}/stat')))
found = []; threads = [threading.Thread(target=look, args=(found,)) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]; print(found == [(True, True, True)] * 8)
`;
    expect(await runSandboxed(python, ['-S', '-c', script], { policy, env })).toMatchObject({
      code: 0,
      stdout: 'True\n',
    });
  });

  test('sees its descendants and its ancestors in the tree', async () => {
    const script = `
      sh -c 'read -r x' < /dev/zero > /dev/null & child=$!
      until [ "$(cat /proc/$child/comm)" = sh ]; do sleep 0.01; done; tr '\\0' ' ' < /proc/$child/cmdline; echo; cut -d' ' -f4 /proc/$child/stat | grep -cx $$; ls /proc/$child/task | grep -cx $child
      kill $child; sh -c 'cat /proc/$PPID/comm'; ls -d /proc/$$ | wc -l; ps -o pid= -p $$ | wc -l`;
    const bare = await runBare('bash', ['-c', script], { env });
    const held = await runSandboxed('bash', ['-c', script], { env, policy });
    expect(held.stdout).toBe(bare.stdout);
    expect(held.stdout).toContain('bash\n');
  });
});

describe('another process of the tree, by default', () => {
  const ask = (pid: string) => `
for name in ('status', 'stat', 'cmdline', 'comm', 'environ', 'maps', 'limits', 'task/' + ${pid} + '/stat', 'io', 'auxv', 'smaps', 'fdinfo/0', 'mem', 'task/' + ${pid} + '/mem'):
    try: print(name, len(open('/proc/' + ${pid} + '/' + name, 'rb').read(1)))
    except OSError as error: print(name, error.errno)
for name in ('exe', 'cwd', 'root', 'fd/0', 'ns/pid'):
    try: print(name, os.readlink('/proc/' + ${pid} + '/' + name))
    except OSError as error: print(name, error.errno)
for name in ('fd', 'task', 'fdinfo', 'cwd/'):
    try: print(name, len(os.listdir('/proc/' + ${pid} + '/' + name)) > 0)
    except OSError as error: print(name, error.errno)`;
  const listed = (script: string) => [
    '-S',
    '-c',
    `import ctypes, os, signal, subprocess, time\nlibc = ctypes.CDLL(None)${script}`,
  ];
  const cwd = '/usr';
  const without = (text: string) =>
    text
      .replace(/\d+(?=\/)/g, 'N')
      .split('\n')
      .filter((line) => !/mem /.test(line));

  test('is seen as without the sandbox, but for its memory', async () => {
    const script = `
child = subprocess.Popen(['sleep', '60'], stdin=subprocess.DEVNULL); pid = str(child.pid)
while open('/proc/' + pid + '/comm').read() != 'sleep\\n': time.sleep(0.01)${ask('pid')}
child.kill(); child.wait()`;
    const bare = await runBare(python, listed(script), { env, cwd });
    expect(bare).toMatchObject({ code: 0, stderr: '' });
    expect(bare.stdout).toMatch(/environ 1\nmaps 1\n/);
    const held = await runSandboxed(python, listed(script), { env, cwd });
    expect(held).toMatchObject({ code: 0, stderr: '' });
    expect(without(held.stdout)).toEqual(without(bare.stdout));
    expect(held.stdout).toMatch(/^mem 13$/m);
    expect(held.violations.map(({ syscall, errno, path }) => [syscall, errno, path?.replace(/\d+/g, 'N')])).toEqual([
      ['openat', 'EACCES', '/proc/N/mem'],
      ['openat', 'EACCES', '/proc/N/task/N/mem'],
    ]);
  });

  test('is listed, and seen, when it has ended and is not waited for', async () => {
    const script = `
child = subprocess.Popen(['true']); pid = str(child.pid); os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
print(pid in os.listdir('/proc'), open('/proc/' + pid + '/stat').read().split()[2], open('/proc/' + pid + '/comm').read())${ask('pid')}
child.wait(); print(os.path.exists('/proc/' + pid))`;
    const bare = await runBare(python, listed(script), { env, cwd });
    expect(bare).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^True Z true\n/) });
    const held = await runSandboxed(python, listed(script), { env, cwd });
    expect(held).toMatchObject({ code: 0, stderr: '' });
    expect(without(held.stdout)).toEqual(without(bare.stdout));
  });

  test('is closed when it lets nobody look (PR_SET_DUMPABLE 0), and so are its children until their exec', async () => {
    const script = `
def asleep(): os.write(write, b'x'); time.sleep(60)
read, write = os.pipe(); pids = []
def one(*acts):
    pid = os.fork()
    if pid == 0:
        for act in acts: act()
        asleep()
    os.read(read, 1); pids.append(str(pid))
grandchild = os.pipe()
def fork():
    pid = os.fork()
    if pid == 0: asleep()
    os.write(grandchild[1], str(pid).encode())
one(lambda: libc.prctl(4, 0, 0, 0, 0), fork); os.read(read, 1); pids.append(os.read(grandchild[0], 99).decode())
one(lambda: libc.prctl(4, 0, 0, 0, 0), lambda: libc.prctl(4, 1, 0, 0, 0))
one()
for pid in pids:
    for name in ('environ', 'maps'):
        try: print(name, len(open('/proc/' + pid + '/' + name, 'rb').read(1)))
        except OSError as error: print(name, error.errno)
    try: print(os.readlink('/proc/' + pid + '/cwd'), open('/proc/' + pid + '/comm').read())
    except OSError as error: print(error.errno)
for pid in pids: os.kill(int(pid), signal.SIGKILL)`;
    const held = await runSandboxed(python, listed(script), { env, cwd });
    expect(held).toMatchObject({ code: 0, stderr: '' });
    const closed = 'environ 13\nmaps 13\n13\n';
    const open = 'environ 1\nmaps 1\n/usr python3\n\n';
    expect(held.stdout.replace(/python3[.\d]*/g, 'python3')).toBe(closed + closed + open + open);
  });

  test('ps shows the tree, and nobody else', async () => {
    const held = await runSandboxed('bash', ['-c', 'sleep 60 & ps -e -o pid=,comm= | sort -n; kill $!'], { env });
    expect(held).toMatchObject({ code: 0, stderr: '' });
    // Where there is a terminal, it is not the tree's.
    expect(held.violations.filter(({ path }) => path !== '/dev/tty')).toEqual([]);
    const names = held.stdout
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[1]);
    expect(names.sort()).toEqual(['bash', 'ps', 'sleep', 'sort']);
  });

  test('its links lead to what they are, which is judged as that', async () => {
    const folder = temporaryFolder('links');
    writeFileSync(join(folder, 'given'), secret);
    const script = `exec 4< /usr/bin/env; sleep 60 <&3 & p=$!
      until [ "$(cat /proc/$p/comm)" = sleep ]; do sleep 0.01; done
      cat <&3; for fd in 0 3; do cat /proc/$p/fd/$fd; done; cmp /proc/$p/fd/4 /usr/bin/env && echo same
      ls -d /proc/$p/root/${folder}; echo x > /proc/$p/cwd/made; kill $p`;
    const given = openSync(join(folder, 'given'), 'r');
    const options = { env, cwd, stdio: ['ignore', 'pipe', 'pipe', given] as const };
    const held = await runSandboxed('bash', ['-c', script], { ...options, stdio: [...options.stdio] });
    closeSync(given);
    expect(held.stdout).toBe(`${secret}same\n`);
    expect(held.stderr.match(/Permission denied/g)).toHaveLength(4);
  });
});

test('PR_SET_DUMPABLE 0 does not blind the supervisor', async () => {
  const folder = temporaryFolder('dumpable');
  writeFileSync(join(folder, 'secret'), secret);
  writeFileSync(join(folder, 'free'), 'free');
  const args = [join(folder, 'secret'), join(folder, 'free')];
  const bare = await runBare(program('proc_dumpable'), args);
  expect(bare.stdout).toContain('secret opened');
  const held = await runSandboxed(program('proc_dumpable'), args, {
    policy: { files: { ...policyFor(folder).files, deny: [join(folder, 'secret')] } },
  });
  expect(held).toMatchObject({
    code: 0,
    stdout: 'set 0\nsecret EACCES\nfree opened\nchild secret EACCES\nchild free opened\ncat 1\n',
  });
  expect(held.violations.filter(({ path }) => path === join(folder, 'secret'))).toHaveLength(3);
});

describe('PR_SET_DUMPABLE 0 keeps the others of the tree out, of its children too', () => {
  const files = { read: [program('proc_hidden')], write: [temporaryFolder('hidden')] };
  // An ordinary user's supervisor could not look either, if the kernel knew of it.
  const kernelKnows =
    (BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`) >> 19n) & 1n;
  const links = /^(readlink|stat|pin|reopen) |^open 7[01] /;

  test.each<[string, Policy, boolean]>([
    ['held', { files: { ...files, read: [...files.read, '/proc'] } }, true],
    ['looks left to the kernel', { files: { ...files, metadata: ['/'] } }, false],
    ['looks and opens left to the kernel', { files: { ...files, metadata: ['/'] }, defaults: { proc: false } }, false],
  ])('%s', async (_, policy, held) => {
    const run = async (argument: string) => {
      const child = spawnSandboxed(program('proc_hidden'), [argument], { policy, cwd: '/usr' });
      if (held) child.on('violation', () => {});
      let told = '';
      child.stdout?.on('data', (chunk) => {
        told += chunk;
      });
      const [code] = await once(child as never, 'close');
      expect(code).toBe(0);
      return told.trim().split('\n');
    };
    const hidden = await run('hide');
    expect(hidden.filter((line) => /^it/.test(line))).toEqual(['itself', 'its child']);
    const open = hidden.filter((line) => !/ EACCES$|^it/.test(line));
    expect(held || kernelKnows ? open : open.filter((line) => !links.test(line))).toEqual([]);
    // Who does not hide is looked at, where a rule gives that.
    expect(await run('show')).toContain('readlink exe ok');
  });
});

test('filters of the tree’s own work, a listener does not, and nothing is loosened', async () => {
  const folder = temporaryFolder('filter');
  writeFileSync(join(folder, 'secret'), secret);
  const bare = await runBare(program('proc_seccomp'), [join(folder, 'secret')]);
  expect(bare.stdout).toMatch(/^listener 1 0\nfilter 0 0\ngetppid -1 77\n/);
  const held = await runSandboxed(program('proc_seccomp'), [join(folder, 'secret')], {
    policy: { files: { ...policyFor(folder).files, deny: [join(folder, 'secret')] } },
  });
  expect(held.stdout.split('\n')).toEqual([
    'listener 0 0',
    'filter 0 0',
    'getppid -1 77',
    'tsync 0 0',
    'trace 0 0',
    'getuid -1 ENOSYS',
    'allow-all 0 0',
    'open -1 EACCES',
    'kill-filter 0 0',
    'child signal 31',
    'still executes',
    '',
  ]);
  expect(held.violations).toContainEqual(expect.objectContaining({ syscall: 'seccomp', errno: 'EBUSY' }));
});
