// What it cost, what held it, and what else is to be said.
import { h, name } from './dom.ts';
import { bytes, count, duration, plural } from './format.ts';
import type { Model } from './model.ts';
import type { Panel } from './panel.ts';

const figure = (title: string, value: string, note = '') =>
  h(
    'div',
    { class: 'figure' },
    h('dt', {}, title),
    h('dd', {}, value, note !== '' && h('span', { class: 'quiet' }, note)),
  );

const times = ['cpuTime', 'wallTime'];
const numbers = ['processes', 'threads', 'openFiles', 'cpus'];
const amount = (limit: string, value: number) =>
  times.includes(limit) ? duration(value) : numbers.includes(limit) ? count(value) : bytes(value);

const holders: Record<string, string> = {
  kernel: 'the kernel, in each process',
  cgroup: 'a control group',
  supervisor: 'the supervisor, at the call',
  node: 'Node, where it reads',
  sampled: 'looks, again and again',
};

const layers: Record<string, string> = {
  kernel: 'not held',
  landlock: 'Landlock',
  continued: 'held, then goes on',
  supervisor: 'the supervisor',
  hook: 'hooks',
};

/** A table whose first column heads its rows. */
function table(caption: string, heads: readonly (readonly [string, string])[], rows: (Node | string)[][]): HTMLElement {
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h(
      'table',
      {},
      h('caption', {}, caption),
      h('thead', {}, h('tr', {}, ...heads.map(([title, kind]) => h('th', { scope: 'col', class: kind }, title)))),
      h(
        'tbody',
        {},
        ...rows.map((cells) =>
          h(
            'tr',
            {},
            ...cells.map((cell, i) =>
              i === 0
                ? h('th', { scope: 'row', class: heads[i]?.[1] ?? '' }, cell)
                : h('td', { class: heads[i]?.[1] ?? '' }, cell),
            ),
          ),
        ),
      ),
    ),
  );
}

interface Sum {
  processes: number;
  cpu: number;
  memory: number;
  read: number;
  written: number;
}

/** All of a process counts for the last program that it ran, as in `usage.byExecutable`. */
function byProgram(model: Model): [string, Sum][] {
  const sums = new Map<string, Sum>();
  for (const { program, data } of model.processes) {
    const sum = sums.get(program) ?? { processes: 0, cpu: 0, memory: 0, read: 0, written: 0 };
    sums.set(program, sum);
    sum.processes++;
    if (data.usage === undefined) continue;
    sum.cpu += data.usage.userTime + data.usage.systemTime;
    sum.memory = Math.max(sum.memory, data.usage.peakMemory);
    sum.read += data.usage.bytesRead;
    sum.written += data.usage.bytesWritten;
  }
  return [...sums].sort((a, b) => b[1].cpu - a[1].cpu);
}

/** More rows than anybody reads. */
const MANY = 200;

export function usage(model: Model): Panel {
  const { report } = model;
  const { usage: used } = report;
  const programs = byProgram(model);
  const most = Math.max(...programs.slice(0, MANY).map(([, sum]) => sum.cpu), 0.001);
  const bar = (value: number) => {
    const inner = h('span', { class: 'share' });
    inner.style.width = `${(value / most) * 100}%`;
    return h('span', { class: 'share-of', 'aria-hidden': 'true' }, inner);
  };
  const element = h(
    'div',
    { class: 'usage' },
    used === undefined
      ? h('p', { class: 'note' }, 'What it used is not known: the command did not start, or its supervisor was lost.')
      : h(
          'dl',
          { class: 'figures' },
          figure(
            'Processor time',
            duration(used.userTime + used.systemTime),
            `${duration(used.userTime)} user, ${duration(used.systemTime)} kernel`,
          ),
          figure(
            'Wall time',
            duration(used.wallTime),
            `${((used.userTime + used.systemTime) / Math.max(used.wallTime, 0.001)).toFixed(2)} processors on average`,
          ),
          figure('Peak memory', bytes(used.peakMemory), 'of the largest process'),
          figure('Read', bytes(used.bytesRead), 'files, pipes and sockets'),
          figure('Written', bytes(used.bytesWritten), 'files, pipes and sockets'),
          figure('Processes', count(used.processes), `of ${plural(programs.length, 'program')}`),
          figure('Threads', count(used.threads), 'beside the first of each process'),
          figure('Calls held', count(used.callsHeld), `${count(used.callsRefused)} refused`),
        ),
    programs.length > 0 &&
      table(
        programs.length > MANY ? `By program: the first ${MANY} of ${count(programs.length)}` : 'By program',
        [
          ['Program', 'path'],
          ['Processes', 'number'],
          ['Processor time', 'number wide'],
          ['Peak memory', 'number'],
          ['Read', 'number'],
          ['Written', 'number'],
        ],
        programs
          .slice(0, MANY)
          .map(([path, sum]) => [
            name(path || '?', 'mono'),
            count(sum.processes),
            h('span', { class: 'with-share' }, bar(sum.cpu), h('span', {}, duration(sum.cpu))),
            bytes(sum.memory),
            bytes(sum.read),
            bytes(sum.written),
          ]),
      ),
    report.limits.length > 0 &&
      table(
        'Limits',
        [
          ['Limit', ''],
          ['Value', 'number'],
          ['Of', ''],
          ['Held by', ''],
          ['Exact', ''],
          ['Reached', ''],
        ],
        report.limits.map((limit) => {
          const reached = report.limitsReached.find((one) => one.name === limit.name);
          return [
            h('code', {}, limit.name),
            amount(limit.name, limit.limit),
            limit.of === 'tree' ? 'the tree' : 'each process',
            holders[limit.held] ?? limit.held,
            limit.exact ? 'yes' : 'no',
            reached === undefined
              ? h('span', { class: 'quiet' }, 'no')
              : h(
                  'span',
                  { class: 'badge bad' },
                  reached.killed ? `killed at ${amount(limit.name, reached.reached)}` : 'refused more',
                ),
          ];
        }),
      ),
    report.limits.length === 0 && h('p', { class: 'note' }, 'No limits were set.'),
    report.warnings.length > 0 && messages('Warnings', report.warnings),
    report.hookErrors.length > 0 && messages('Hooks that failed: their calls were denied', report.hookErrors),
    report.layers !== undefined &&
      h(
        'details',
        {},
        h('summary', {}, 'Who decided what'),
        table(
          'Who decided each class of calls',
          [
            ['Calls', ''],
            ['Decided by', ''],
            ['Why not cheaper', ''],
          ],
          Object.entries(report.layers).map(([kind, plan]) => [
            h('code', {}, kind),
            layers[plan.layer] ?? plan.layer,
            h('span', { class: 'quiet' }, plan.obstacles.map(({ why }) => why).join('; ')),
          ]),
        ),
      ),
  );
  return {
    element,
    shown: () => {},
    focus: () => element.querySelector<HTMLElement>('.scroll, summary')?.focus(),
    print: (on) => {
      for (const details of element.querySelectorAll('details')) details.open = on;
    },
  };
}

const messages = (title: string, list: readonly string[]) =>
  h(
    'section',
    { class: 'messages' },
    h('h2', {}, title),
    h('ul', {}, ...list.slice(0, MANY).map((message) => h('li', {}, name(message)))),
    list.length > MANY && h('p', { class: 'quiet' }, `and ${count(list.length - MANY)} more`),
  );
