// What other sandboxes take for the same, where they are installed (Debian: proot, bubblewrap, firejail, strace): each is asked for
// what comes nearest to confining files, and none of them gives hooks.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { program } from './build.js';
import { ended, file, layers, microseconds, ms, sandboxedLoop, serving, spawnOn, work } from './run.js';

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

/** Those that start here; `leave` is told of the others, and why not. */
function usable(leave) {
  return Object.entries(peers).filter(([name, start]) => {
    const [command, args] = start(['/bin/true']);
    const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    if (error === undefined && status === 0) return true;
    const why = error?.code === 'ENOENT' ? 'not installed' : (error?.message ?? stderr.trim().split('\n', 1)[0]);
    leave(name, why);
    return false;
  });
}

const stdio = ['ignore', 'pipe', 'pipe'];
/** Some thousand files that are the same on most machines. */
const tree = ['/usr/share/zoneinfo', '/usr/include', '/usr/lib'].find((folder) => existsSync(folder));

const kernel = layers['holdfast, kernel layers'];

const looped = (call, title, count, found, argument = file, using = (use) => use(argument)) => {
  const command = (to) => [program('loop'), call, String(to), String(count)];
  const subjects = {
    holdfast: () => using((to) => sandboxedLoop(call, to, count, { how: layers.holdfast })),
    'holdfast, kernel layers': () => using((to) => sandboxedLoop(call, to, count, { how: kernel })),
  };
  for (const [peer, start] of found)
    subjects[peer] = () => using((to) => microseconds(spawn(...start(command(to)), { stdio }), `${peer} ${call}`));
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
  const held = (how) => timed(() => spawnOn(how, command[0], command.slice(1), { stdio }));
  const subjects = { holdfast: held(layers.holdfast), 'holdfast, kernel layers': held(kernel) };
  for (const [name, start] of found) subjects[name] = timed(() => spawn(...start(command), { stdio }));
  return {
    name: 'peers-find',
    title: `find over ${tree}, to other sandboxes`,
    unit: 'ms',
    subjects,
    compare: compared(found),
  };
};

export function others(few, leave) {
  const found = usable(leave);
  if (found.length === 0) return [];
  // The others leave addresses alone; PRoot at least looks at each.
  const looking = found.filter(([name]) => name === 'PRoot');
  execFileSync('find', [tree, '-newer', '/etc/passwd'], { stdio: 'ignore', maxBuffer: 1 << 28 }); // into the caches
  return [
    looped('stat', 'stat', few(10_000), found),
    looped('open', 'open and close', few(10_000), found),
    walked(found),
    looped('connect', 'socket, connect to loopback, close', few(500), looking, undefined, serving),
    looped('udp', 'socket, connect of UDP, close', few(1_000), looking, 9, undefined),
  ];
}
