// Single calls: held without a hook, held with one, and not held at all.
import { bareLoop, deepFile, file, floorLoop, layers, roundTrip, sandboxedLoop, serving } from './run.js';

const held = (name, title, call, path, count, goal) => ({
  name,
  title,
  unit: 'µs',
  subjects: {
    bare: () => bareLoop(call, path, count * 5),
    'answer floor': () => floorLoop(`answer-${call}`, call, path, count),
    'perform floor': () => floorLoop(call, call, path, count),
    ...Object.fromEntries(
      Object.entries(layers).map(([name, how]) => [
        name,
        () => sandboxedLoop(call, path, how.listens ? count : count * 5, { how }),
      ]),
    ),
  },
  compare: [
    { of: 'holdfast', to: 'perform floor', goal },
    { of: 'holdfast', to: 'answer floor' },
    ...Object.keys(layers).map((of) => ({ of, to: 'bare' })),
  ],
});

const relative = (name, title, call, absolute, count) => ({
  name,
  title,
  unit: 'µs',
  subjects: {
    'absolute name': () => sandboxedLoop(absolute, file, count),
    holdfast: () => sandboxedLoop(call, file, count),
  },
  compare: [{ of: 'holdfast', to: 'absolute name', goal: 1.15 }],
});

const hooked = (name, title, call, count, asked) => ({
  name,
  title,
  unit: 'µs',
  subjects: {
    'answer floor': () => floorLoop(`answer-${call}`, call, file, count),
    'perform floor': () => floorLoop(call, call, file, count),
    'round trip': () => roundTrip(count),
    holdfast: () => sandboxedLoop(call, file, count, { hooks: asked }),
  },
  compare: [
    { of: 'holdfast', to: ['perform floor', 'round trip'], goal: 1.3 },
    { of: 'holdfast', to: ['answer floor', 'round trip'] },
  ],
});

const perSecond = (title, name, count, more) => ({
  name,
  title,
  unit: '/s',
  subjects: {
    holdfast: async () => 1e6 / (await sandboxedLoop('open', file, count, { hooks: opened, more })),
  },
  compare: [{ of: 'holdfast', atLeast: 60_000 }],
});

const free = (name, title, call, count) => ({
  name,
  title,
  unit: 'µs',
  subjects: {
    bare: () => bareLoop(call, '-', count),
    holdfast: () => sandboxedLoop(call, '-', count),
  },
  compare: [{ of: 'holdfast', to: 'bare' }],
});

const opened = (child) => child.onOpen({ path: file }, () => undefined);

const connect = (count) => {
  const subject = (run) => () => serving((port) => run('connect', port, count));
  return {
    name: 'connect',
    title: 'socket, connect to loopback, close',
    unit: 'µs',
    subjects: { bare: subject(bareLoop), holdfast: subject(sandboxedLoop) },
    compare: [{ of: 'holdfast', to: 'bare' }],
  };
};

export const calls = (few) => [
  held('stat', 'stat, held, no hook', 'stat', file, few(20_000), 1.25),
  held('open', 'open and close, held, no hook', 'open', file, few(20_000), 1.25),
  held('stat-deep', 'stat eleven folders deep, held, no hook', 'stat', deepFile, few(20_000)),
  relative('stat-relative', 'stat of a relative name', 'stat-relative', 'stat', few(20_000)),
  relative('fstatat', 'fstatat with a directory descriptor', 'fstatat', 'stat', few(20_000)),
  relative('openat', 'openat with a directory descriptor, and close', 'openat', 'open', few(20_000)),
  hooked('open-hook', 'open and close, a hook on every open', 'open', few(5_000), opened),
  hooked('stat-hook', 'stat, a hook on every stat', 'stat', few(5_000), (child) => {
    child.onStat({ path: file }, () => undefined);
  }),
  perSecond('opens per second of eight threads, a hook on every open', 'open-hook-threads', few(8_000), ['threads', 8]),
  free('getppid', 'a call that is not held (getppid)', 'getppid', few(500_000)),
  connect(few(1_000)),
  free('fork', 'fork and wait', 'fork', few(500)),
  free('exec', 'fork, exec and wait', 'exec', few(300)),
];
