// `holdfast doctor`: what checkSupport() finds, for people.
import { checkSupport, type EngineTrial, type Machine, type ResourceLimit, type Support } from '../index.ts';
import { coloursFor } from './colours.ts';

const pc = coloursFor(process.stdout);

const good = pc.green('✓');
const bad = pc.red('✗');
const plain = pc.dim('·');

const line = (mark: string, name: string, text: string) => `  ${mark} ${name.padEnd(14)} ${text}`;

const limit = ({ soft, hard }: ResourceLimit) => `${soft ?? 'unlimited'} (at most ${hard ?? 'unlimited'})`;

function engineLine({ engine, works, startMs, totalMs, problem }: EngineTrial): string {
  const text = works ? `started in ${startMs} ms, ended after ${totalMs} ms` : `${problem?.code}: ${problem?.message}`;
  return line(works ? good : bad, engine ?? '', text);
}

function machineLines({ node, libc, ptraceScope, ...machine }: Machine): string[] {
  const { underSeccomp, tracer, noNewPrivs, root, containers, limits, controlGroup, binaries } = machine;
  const facts: [string, string][] = [
    ['Node', `${node}, ${libc}, ${machine.architecture}`],
    ['native part', binaries ?? 'none for this machine'],
    [
      'user',
      `${root ? 'root' : 'not root'}, capabilities ${machine.capabilities}${noNewPrivs ? ', no_new_privs' : ''}`,
    ],
    ['ptrace scope', ptraceScope === undefined ? 'no Yama' : String(ptraceScope)],
    ['seccomp', underSeccomp ? 'a program lies above this process' : 'none above this process'],
    ['container', containers.join(', ') || 'no mark of one'],
    ['open files', limit(limits.openFiles)],
    ['processes', limit(limits.processes)],
    ['control group', 'parent' in controlGroup ? `can be made in ${controlGroup.parent}` : controlGroup.problem],
  ];
  if (tracer !== undefined) facts.push(['tracer', `process ${tracer} traces this one`]);
  return facts.map(([name, text]) => line(plain, name, text));
}

function report(support: Support, version: string): string {
  const { supported, problems, engines = [], notes = [], machine, engine, kernel, landlockAbi } = support;
  const lines = [pc.bold(`holdfast ${version}`) + (kernel === undefined ? '' : `, Linux ${kernel}`), ''];
  lines.push(
    supported
      ? line(good, 'programs', `can be started, by the engine ${pc.bold(engine ?? '')}`)
      : line(bad, 'programs', 'cannot be started here'),
  );
  for (const { code, message } of problems) lines.push(line(' ', '', `${code}: ${message}`));
  lines.push(...engines.map(engineLine));
  if (landlockAbi !== undefined)
    lines.push(
      line(landlockAbi > 0 ? good : plain, 'Landlock', landlockAbi > 0 ? `ABI ${landlockAbi}` : 'not in this kernel'),
    );
  if (machine !== undefined) lines.push(...machineLines(machine));
  if (notes.length > 0) lines.push('', ...notes.map((note) => `  ${pc.yellow('!')} ${note}`));
  return `${lines.join('\n')}\n`;
}

/** Prints it, as data or for people, and gives the exit code. */
export async function doctor(json: boolean, version: string): Promise<number> {
  const support = await checkSupport({ start: true });
  process.stdout.write(json ? `${JSON.stringify({ version, ...support }, undefined, 2)}\n` : report(support, version));
  return support.supported ? 0 : 1;
}
