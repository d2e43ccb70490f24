// Runs a program, and where it asks for a file that it may not have, shows where in it that was: registers and a backtrace.
//   node docs/examples/postmortem.mjs FILE COMMAND [ARGUMENTS…]
// The backtrace follows frame pointers, so it is whole for programs that were compiled with -fno-omit-frame-pointer.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { deny, spawnSandboxed } from 'holdfast';

const [file, command, ...args] = process.argv.slice(2);
if (command === undefined) {
  console.error('usage: node postmortem.mjs FILE COMMAND [ARGUMENTS…]');
  process.exit(64);
}

/** Return addresses, from the innermost on. */
async function backtrace(stopped, registers) {
  const x64 = registers.arch === 'x64';
  const addresses = [x64 ? registers.rip : registers.pc];
  let frame = x64 ? registers.rbp : registers.x29;
  while (addresses.length < 64) {
    let words;
    try {
      words = await stopped.readMemory(frame, 16);
    } catch {
      break; // no frame any more
    }
    const [next, from] = [words.readBigUInt64LE(0), words.readBigUInt64LE(8)];
    if (from === 0n) break;
    addresses.push(from);
    if (next <= frame) break;
    frame = next;
  }
  return addresses;
}

/** `function at file:line`, by the debug information of the file that is mapped there. */
function nameOf(address, mappings) {
  const inside = mappings.find(({ start, end }) => start <= address && address < end);
  if (inside === undefined || !inside.path.startsWith('/')) return '';
  const base = mappings.find(({ path }) => path === inside.path).start;
  // A return address is behind its call.
  for (const place of [address - 1n - base, address - 1n]) {
    const { stdout } = spawnSync('addr2line', ['-fpe', inside.path, place.toString(16)], { encoding: 'utf8' });
    if (stdout && !stdout.startsWith('??')) return stdout.trim();
  }
  return inside.path;
}

async function show(inspecting, call) {
  const stopped = await inspecting;
  try {
    await print(stopped, call);
  } finally {
    await stopped.release(); // the program goes on
  }
}

async function print(stopped, call) {
  const [{ registers, syscall }, mappings] = await Promise.all([stopped.state(), stopped.mappings()]);
  console.log(`${call.executable} (${call.pid}) asked for ${call.path} by ${syscall}`);
  for (const [name, value] of Object.entries(registers)) {
    if (typeof value === 'bigint') console.log(`  ${name.padEnd(8)} ${value.toString(16).padStart(16, '0')}`);
  }
  for (const [i, address] of (await backtrace(stopped, registers)).entries()) {
    console.log(`#${i}  ${address.toString(16).padStart(16, '0')}  ${nameOf(address, mappings)}`);
  }
}

const child = spawnSandboxed(command, args, { stdio: 'inherit', policy: { files: { read: ['/'] } } });
let shown = Promise.resolve();
child.onOpen({ path: file }, (call) => {
  // Asked for before the answer: so it stops right behind this call.
  const inspecting = child.inspect(call.tid);
  shown = show(inspecting, call);
  return deny('EACCES');
});
await once(child, 'close');
await shown;
