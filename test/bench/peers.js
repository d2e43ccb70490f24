// What other sandboxes take for the same, where they are installed (Debian: proot, bubblewrap, firejail, strace): each is asked for
// what comes nearest to confining files, and none of them gives hooks.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { spawnSandboxed } from 'holdfast';
import colors from 'picocolors';
import { program } from './build.js';
import { ended, file, microseconds, ms, policy, sandboxedLoop, work } from './run.js';

/** How each starts a command. */
const peers = {
  PRoot: (command) => ['proot', ['-r', '/', ...command]],
  'strace, file calls': (command) => [
    'strace',
    ['-f', '--seccomp-bpf', '-e', 'trace=%file', '-o', '/dev/null', ...command],
  ],
  bubblewrap: (command) => [
    'bwrap',
    ['--ro-bind', '/', '/', '--bind', work, work, '--dev', '/dev', '--proc', '/proc', ...command],
  ],
  firejail: (command) => ['firejail', ['--quiet', '--noprofile', '--read-only=/usr', ...command]],
};

/** Those that start here; of the others, why not. */
function usable() {
  return Object.entries(peers).filter(([name, start]) => {
    const [command, args] = start(['/bin/true']);
    const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    if (error === undefined && status === 0) return true;
    const why = error?.code === 'ENOENT' ? 'not installed' : (error?.message ?? stderr.trim().split('\n', 1)[0]);
    console.log(colors.dim(`${name} is left out: ${why}`));
    return false;
  });
}

const stdio = ['ignore', 'pipe', 'pipe'];
/** Some thousand files that are the same on most machines. */
const tree = ['/usr/share/zoneinfo', '/usr/include', '/usr/lib'].find((folder) => existsSync(folder));

/** What the kernel can be left to decide. */
const kernel = {
  files: { read: policy.files.read.filter((path) => !/^\/(proc|sys|dev)/.test(path)), write: [work], metadata: ['/'] },
  defaults: { proc: false },
};

const looped = (call, title, count, found) => {
  const command = [program('loop'), call, file, String(count)];
  const [name, ...args] = command;
  const subjects = {
    holdfast: () => sandboxedLoop(call, file, count, (child) => child.on('violation', () => {})),
    'holdfast, kernel layers': () => microseconds(spawnSandboxed(name, args, { stdio, policy: kernel }), call),
  };
  for (const [peer, start] of found)
    subjects[peer] = () => microseconds(spawn(...start(command), { stdio }), `${peer} ${call}`);
  return {
    name: `peers-${call}`,
    title: `${title}, to other sandboxes`,
    unit: 'µs',
    subjects,
    compare: compared(found),
  };
};

function compared(found) {
  return found.flatMap(([to]) => {
    const enforced = to === 'bubblewrap' || to === 'firejail';
    return [
      ...(enforced ? [] : [{ of: 'holdfast', to, goal: to === 'PRoot' ? 1 : undefined }]),
      { of: 'holdfast, kernel layers', to, goal: to === 'bubblewrap' ? 1.05 : to === 'PRoot' ? 1 : undefined },
    ];
  });
}

const walked = (found) => {
  const command = ['find', tree, '-newer', '/etc/passwd'];
  const timed = (start) => async () => {
    const began = ms();
    await ended(start(), 'find');
    return ms() - began;
  };
  const held = (policy, listens) => () => {
    const child = spawnSandboxed(command[0], command.slice(1), { stdio, policy });
    if (listens) child.on('violation', () => {});
    return child;
  };
  const subjects = { holdfast: timed(held(policy, true)), 'holdfast, kernel layers': timed(held(kernel, false)) };
  for (const [name, start] of found) subjects[name] = timed(() => spawn(...start(command), { stdio }));
  return {
    name: 'peers-find',
    title: `find over ${tree}, to other sandboxes`,
    unit: 'ms',
    subjects,
    compare: compared(found),
  };
};

export function others(few) {
  const found = usable();
  if (found.length === 0) return [];
  execFileSync('find', [tree, '-newer', '/etc/passwd'], { stdio: 'ignore', maxBuffer: 1 << 28 }); // into the caches
  return [
    looped('stat', 'stat', few(10_000), found),
    looped('open', 'open and close', few(10_000), found),
    walked(found),
  ];
}
