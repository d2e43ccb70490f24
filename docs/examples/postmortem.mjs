// Runs a program, and where it asks for a file that it may not have, shows where in it that was: registers and a backtrace.
//   node docs/examples/postmortem.mjs FILE COMMAND [ARGUMENTS…]
// The backtrace is what on the stack looks like return addresses, so an old one may be among them.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { deny, spawnSandboxed } from 'holdfast';

const [file, command, ...args] = process.argv.slice(2);
if (command === undefined) {
  console.error('usage: node postmortem.mjs FILE COMMAND [ARGUMENTS…]');
  process.exit(64);
}

const STACK = 4096;

/** Whether a call stands right before this address. */
async function followsCall(stopped, address, arch) {
  const before = await stopped.readMemory(address - 8n, 8);
  // BL and BLR; CALL rel32, and CALL by a register or memory, which is 2 to 7 bytes long.
  if (arch === 'arm64') return before[7] >> 2 === 0x25 || (before.readUInt32LE(4) & 0xfffffc1f) >>> 0 === 0xd63f0000;
  return (
    before[3] === 0xe8 || [1, 2, 3, 4, 5, 6].some((at) => before[at] === 0xff && ((before[at + 1] >> 3) & 7) === 2)
  );
}

/** Where it is, and what on its stack looks like return addresses, from the innermost on. */
async function backtrace(stopped, registers, mappings) {
  const [at, top] = registers.arch === 'x64' ? [registers.rip, registers.rsp] : [registers.pc, registers.sp];
  const stack = mappings.find(({ start, end }) => start <= top && top < end);
  const bytes = await stopped.readMemory(top, Math.min(STACK, Number(stack.end - top)));
  const addresses = [at];
  if (registers.arch === 'arm64') addresses.push(registers.x30);
  for (let i = 0; i + 8 <= bytes.length; i += 8) {
    const word = bytes.readBigUInt64LE(i);
    const code = mappings.find(({ start, end, executable }) => executable && start + 8n <= word && word < end);
    if (code !== undefined && (await followsCall(stopped, word, registers.arch))) addresses.push(word);
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
  for (const [i, address] of (await backtrace(stopped, registers, mappings)).entries()) {
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
