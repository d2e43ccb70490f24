// From the call of spawn to the event, by Nodes of several sizes.
import { fork } from 'node:child_process';
import { freemem } from 'node:os';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('start-host.js', import.meta.url));

/** A Node that starts what it is told to, of so many megabytes; it is started at its first use, and ended by `stop()`. */
export function hostOf(...args) {
  let child;
  const next = () =>
    new Promise((resolve, reject) => {
      const ended = (code, signal) => reject(new Error(`the starting Node ended with ${code ?? signal}`));
      child.once('exit', ended);
      child.once('message', ({ took, failed }) => {
        child.off('exit', ended);
        if (failed === undefined) resolve(took);
        else reject(new Error(failed));
      });
    });
  return {
    async start(asked) {
      if (child === undefined) {
        child = fork(script, args.map(String));
        await next();
      }
      const answer = next();
      child.send(asked);
      return await answer;
    },
    async stop() {
      if (child === undefined) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.disconnect();
      await gone;
      child = undefined;
    },
  };
}

const policies = {
  holdfast: undefined,
  'holdfast, metadata': { files: { metadata: ['/'] } },
  'holdfast, kernel layers': { files: { metadata: ['/'] }, defaults: { proc: false } },
};

/** `child_process` and `holdfast` in turn. */
function measure(name, title, { megabytes = 60, event = 'close', options = {}, count, goal, also = [] }) {
  const host = hostOf(megabytes);
  const kinds = ['holdfast', ...also];
  const subjects = { child_process: () => host.start({ how: 'child_process', event, options, count }) };
  for (const kind of kinds) {
    subjects[kind] = () =>
      host.start({ how: 'holdfast', event, options: { ...options, policy: policies[kind] }, count });
  }
  return {
    name,
    title,
    unit: 'ms',
    subjects,
    compare: kinds.map((of) => ({ of, to: 'child_process', ...(of === 'holdfast' && goal ? { goal } : {}) })),
    after: () => host.stop(),
  };
}

/** `pause`: milliseconds between two starts, in which a pool is filled again. */
function pooled(name, title, count, pause, goal) {
  const [host, ordinary] = [hostOf(60, 'pool'), hostOf(60)];
  const asked = { event: 'close', options: {}, count, pause };
  return {
    name,
    title: `pool.spawn('true') until 'close', ${title}, Node at 60 MB`,
    unit: 'ms',
    subjects: {
      child_process: () => ordinary.start({ ...asked, how: 'child_process' }),
      'without a pool': () => ordinary.start({ ...asked, how: 'holdfast' }),
      holdfast: () => host.start({ ...asked, how: 'pool' }),
    },
    compare: [
      { of: 'holdfast', to: 'child_process', ...goal },
      { of: 'holdfast', to: 'without a pool' },
    ],
    after: async () => {
      await host.stop();
      await ordinary.stop();
    },
  };
}

export function starts(few, leave) {
  const count = few(20);
  const sizes = [
    { name: 'start-260', megabytes: 260, goal: 0.6 },
    { name: 'start-1024', megabytes: 1024, goal: 0.2 },
  ].filter(({ name, megabytes }) => {
    const room = freemem() > 2 * megabytes * 2 ** 20;
    if (!room) leave(name, `less than ${2 * megabytes} MB of memory are free`);
    return room;
  });
  return [
    measure('start', "spawn('true') until 'close', Node at 60 MB", {
      count,
      goal: 1.3,
      also: ['holdfast, metadata', 'holdfast, kernel layers'],
    }),
    ...sizes.map(({ name, megabytes, goal }) =>
      measure(name, `spawn('true') until 'close', Node at ${megabytes} MB`, { megabytes, count: few(10), goal }),
    ),
    pooled('start-pool', '20 ms apart', count, 20, { goal: 0.8 }),
    pooled('start-pool-again', 'one after the other', count, 0),
    measure('start-quiet', "spawn('true'), stdio ignored, until 'close'", { options: { stdio: 'ignore' }, count }),
    measure('start-spawn', "spawn('true') until 'spawn'", { event: 'spawn', count }),
    measure('start-gone', "spawn('true') until nothing of it is left", { event: 'gone', count }),
  ];
}
