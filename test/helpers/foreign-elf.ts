// Programs of a machine's other ABI, byte by byte, since no compiler that makes them need be there: elf(5).
import type { Architecture } from './table.ts';

const place = 0x400000;
const align = 0x10000; // the largest page of aarch64

const word = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff];

/** Calls of i386: makes the file, writes the text, exits with 7; an invalid instruction where that did not end it. */
const i386 = (path: number, text: number) => [
  ...[0xb8, ...word(5), 0xbb, ...word(path), 0xb9, ...word(0x41), 0xba, ...word(0o600), 0xcd, 0x80],
  ...[0xb8, ...word(4), 0xbb, ...word(1), 0xb9, ...word(text), 0xba, ...word(4), 0xcd, 0x80],
  ...[0xb8, ...word(1), 0xbb, ...word(7), 0xcd, 0x80, 0x0f, 0x0b],
];

/** The same in ARM's 32-bit instructions; the addresses lie behind them. */
const arm = (path: number, text: number) =>
  [
    ...[0xe59f0030, 0xe3a01041, 0xe3a02d06, 0xe3a07005, 0xef000000], // ldr r0; mov r1, r2, r7; svc
    ...[0xe3a00001, 0xe59f101c, 0xe3a02004, 0xe3a07004, 0xef000000],
    ...[0xe3a00007, 0xe3a07001, 0xef000000, 0xe7f000f0, path, text], // ..., udf
  ].flatMap(word);

/** A static 32-bit program of the other ABI that this architecture's kernels may have: creates `path`, says "ran", exits with 7. */
export function foreignProgram(architecture: Architecture, path: string): Buffer {
  const code = architecture === 'x86_64' ? i386 : arm;
  const start = 52 + 32;
  const length = code(0, 0).length;
  const strings = Buffer.from(`ran\n\0${path}\0`);
  const textAt = place + start + length;
  const size = start + length + strings.length;
  const file = Buffer.alloc(size);
  file.write('\x7fELF\x01\x01\x01', 'latin1'); // ELFCLASS32, little-endian
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(architecture === 'x86_64' ? 3 : 40, 18); // EM_386, EM_ARM
  for (const [at, value] of [
    ...[[20, 1] as const, [24, place + start] as const, [28, 52] as const],
    [36, architecture === 'x86_64' ? 0 : 0x05000000] as const, // EF_ARM_EABI_VER5
  ])
    file.writeUInt32LE(value, at);
  for (const [at, value] of [[40, 52] as const, [42, 32] as const, [44, 1] as const]) file.writeUInt16LE(value, at);
  for (const [i, value] of [1 /* PT_LOAD */, 0, place, place, size, size, 5 /* R, X */, align].entries())
    file.writeUInt32LE(value, 52 + 4 * i);
  Buffer.from(code(textAt + 5, textAt)).copy(file, start);
  strings.copy(file, start + length);
  return file;
}

/** A program of this architecture's own ABI that names `interpreter` as its loader, and has no code. */
export function programWithInterpreter(architecture: Architecture, interpreter: string): Buffer {
  const name = Buffer.from(`${interpreter}\0`);
  const nameAt = 64 + 2 * 56;
  const size = nameAt + name.length;
  const file = Buffer.alloc(size);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(architecture === 'x86_64' ? 62 : 183, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(place), 24);
  file.writeBigUInt64LE(64n, 32);
  for (const [at, value] of [[52, 64] as const, [54, 56] as const, [56, 2] as const]) file.writeUInt16LE(value, at);
  const segment = (at: number, kind: number, offset: number, length: number) => {
    file.writeUInt32LE(kind, at);
    file.writeUInt32LE(5, at + 4);
    for (const [i, value] of [offset, place + offset, place + offset, length, length, align].entries())
      file.writeBigUInt64LE(BigInt(value), at + 8 + 8 * i);
  };
  segment(64, 3 /* PT_INTERP */, nameAt, name.length);
  segment(64 + 56, 1, 0, size);
  name.copy(file, nameAt);
  return file;
}
