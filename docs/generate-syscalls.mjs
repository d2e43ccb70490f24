// Writes docs/syscalls.md and lib/policy/syscall-table.ts from the table that the supervisor was built with.
//   node docs/generate-syscalls.mjs [SUPERVISOR]
import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('..', import.meta.url);

const waysOfHolding = {
  let_by: 'not held, unless a rule or a hook on it asks for that: harmless whatever its registers say',
  perform: 'held; the supervisor does it on pinned objects and hands over the result',
  bounce: 'held; runs in the caller with its arguments copied to memory that the tree cannot write',
  verify: 'held; what really happened is checked before the first new instruction',
  observe: 'held; every argument that matters is in a register, so after the check it runs as it is',
  refuse: 'answered with the errno, and a `violation`',
  absent: 'answered with the errno by the kernel, quietly: libc falls back to an older call',
};

const guards = {
  clock_own: "the clock is the machine's, a descriptor's, or the caller's own",
  clone_plain: 'no new namespace, no flag that takes the child out of supervision',
  fcntl_harmless: 'the command names no process',
  group_new: 'the process begins a group: the number is 0',
  high_address: 'the range begins above the sealed page, or ends below it',
  high_address_or_any: 'the range begins above the sealed page, or the kernel chooses it',
  high_move: 'old and new range begin above the sealed page, or there is none',
  ioctl_harmless: 'the command is a listed one of terminals, descriptors or queries',
  ioprio_own: 'it is about the caller itself',
  personality_plain: 'a query, or only the bits of `setarch`',
  pid_zero: 'the pid is 0, the caller itself',
  prctl_harmless: 'the option is a listed one',
  priority_own: 'it is about the caller itself',
  ruleset_own: 'the command puts on the ruleset that the supervisor has made, before its exec',
  seccomp_query: 'a query, or the command puts on the rules of its policy, before its exec',
  sendto_without_address: 'there is no address',
  setsockopt_harmless: 'the level and option are listed ones',
  socket_plain: 'unix, TCP, UDP, or route netlink',
  socketpair_plain: 'unix',
  unshare_plain: 'only descriptors, working directory and semaphores',
};

const families = {
  files: 'Files',
  network: 'Network',
  exec: 'Programs',
  process: 'Processes',
  signals: 'Signals',
  memory: 'Memory',
  ipc: 'Communication between processes',
  time: 'Time',
  system: 'System',
};

const code = (text) => (text === '' ? '' : `\`${text}\``);

function wayCell(row) {
  const answer = row.error === '' ? row.way : `${row.way} ${row.error}`;
  return row.guard === 'always_held' ? answer : `${answer}, unless \`${row.guard}\``;
}

function reasonOf(row) {
  return row.reason.replaceAll('|', '\\|');
}

/** What a policy may open, and what that means. */
function opened(rows) {
  return rows.filter((row) => row.opened !== '');
}

/** The page for the rows of `--table`. */
export function render(rows) {
  const lines = [
    '# System calls',
    '',
    '<!-- Made by docs/generate-syscalls.mjs from native/syscalls/table.def: change that, not this. -->',
    '',
    'Every system call of Linux 6.18 on x86_64 and aarch64, and what happens when the tree makes it. A number that is not',
    'here, and every call by way of another ABI (i386, x32, 32-bit arm), is answered with ENOSYS and reported as a',
    '`violation`.',
    '',
    '| way | what happens | calls |',
    '|---|---|---|',
  ];
  for (const [way, meaning] of Object.entries(waysOfHolding)) {
    lines.push(`| ${way} | ${meaning} | ${rows.filter((row) => row.way === way).length} |`);
  }
  lines.push('', 'Some calls are let by if their registers alone show that they are harmless, and held otherwise:', '');
  lines.push('| condition | let by if |', '|---|---|');
  for (const [guard, meaning] of Object.entries(guards)) lines.push(`| \`${guard}\` | ${meaning} |`);
  lines.push(
    '',
    'These are refused, and a policy may open them (`syscalls: { allow: […] }`), since they confine nobody less:',
    '',
    '| call | what it means where it is open |',
    '|---|---|',
  );
  for (const row of opened(rows)) lines.push(`| ${code(row.name)} | ${row.opened.replaceAll('|', '\\|')} |`);
  for (const [family, title] of Object.entries(families)) {
    lines.push('', `## ${title}`, '', '| call | x86_64 | aarch64 | way | hook | note |', '|---|---|---|---|---|---|');
    for (const row of rows.filter((row) => row.family === family)) {
      const hook = row.event === 'none' ? '' : code(`on${row.event[0].toUpperCase()}${row.event.slice(1)}`);
      lines.push(
        `| ${code(row.name)} | ${row.x86_64 ?? ''} | ${row.aarch64 ?? ''} | ${wayCell(row)} | ${hook} | ${reasonOf(row)} |`,
      );
    }
  }
  const known = new Set(Object.keys(guards).concat('always_held'));
  for (const row of rows) {
    if (!known.has(row.guard)) throw new Error(`docs/generate-syscalls.mjs does not say what ${row.guard} means`);
    if (!(row.way in waysOfHolding)) throw new Error(`docs/generate-syscalls.mjs does not say what ${row.way} means`);
    if (!(row.family in families)) throw new Error(`docs/generate-syscalls.mjs has no title for ${row.family}`);
  }
  return `${lines.join('\n')}\n`;
}

/** What the library knows of the same rows. */
export function renderModule(rows) {
  const line = (row) => {
    const kinds = row.args.map((kind, i) => (row.bits[i] === 64 ? `${kind}*` : kind));
    return [row.name, row.x86_64 ?? '-', row.aarch64 ?? '-', row.way, ...kinds].join(' ');
  };
  return `// Made by docs/generate-syscalls.mjs from native/syscalls/table.def: change that, not this.

/** Every system call of Linux 6.18 on x86_64 and aarch64. */
export type SyscallName =
${rows.map((row) => `  | '${row.name}'`).join('\n')};

/** Refused, unless a policy opens them. */
export type OpenedSyscall = ${opened(rows)
    .map((row) => `'${row.name}'`)
    .join(' | ')};

export const openedSyscalls: readonly OpenedSyscall[] = [${opened(rows)
    .map((row) => `'${row.name}'`)
    .join(', ')}];

/** Of each: name, number on x86_64, on aarch64, how it is finished, and what its arguments are (*: all 64 bits count). */
export const syscallTable = \`
${rows.map(line).join('\n')}
\`;
`;
}

function findSupervisor() {
  const folders = ['build/Release', 'build/Debug', `prebuilds/linux-${process.arch}`];
  const found = folders
    .map((folder) => fileURLToPath(new URL(`${folder}/holdfast-supervisor`, root)))
    .find((path) => existsSync(path));
  if (found === undefined) throw new Error('there is no supervisor yet: run `npm run build:native`');
  return found;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const table = execFileSync(process.argv[2] ?? findSupervisor(), ['--table'], { encoding: 'utf8' });
  const rows = table
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  writeFileSync(new URL('docs/syscalls.md', root), render(rows));
  writeFileSync(new URL('lib/policy/syscall-table.ts', root), renderModule(rows));
}
