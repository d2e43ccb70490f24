// The configuration as the supervisor reads it (native/protocol/tlv.h): u16 tag, u16 zero, u32 size, bytes, padding to 8.

/** For one writer after the other: what is written is sent, or copied, before the next one begins. */
let scratch = Buffer.alloc(16384);
/** A policy with many rules must not keep its room for good. */
const MOST_KEPT = 262144;

export class FieldWriter {
  readonly #tags: Readonly<Record<string, number>>;
  #buffer = scratch;
  #size = 0;

  constructor(tags: Readonly<Record<string, number>>) {
    this.#tags = tags;
  }

  /** Fields that another writer has made. */
  append(fields: Uint8Array): this {
    this.#makeRoom(fields.length);
    this.#buffer.set(fields, this.#size);
    this.#size += fields.length;
    return this;
  }

  number(field: string, value: number): this {
    const at = this.#reserve(field, 8);
    // Nearly all of them; a BigInt for each would take longer than all the rest.
    if (value >>> 0 === value) this.#put(this.#put(at, value), 0);
    else this.#buffer.writeBigInt64LE(BigInt(value), at);
    return this;
  }

  /** All 64 bits. */
  big(field: string, value: bigint): this {
    const at = this.#reserve(field, 8);
    this.#buffer.writeBigUInt64LE(value, at);
    return this;
  }

  text(field: string, value: string): this {
    // Three bytes for a unit of UTF-16 at most, and a head.
    this.#makeRoom(8 + value.length * 3);
    this.#reserve(field, this.#write(value, this.#size + 8));
    return this;
  }

  bytes(field: string, value: Uint8Array): this {
    const at = this.#reserve(field, value.length);
    this.#buffer.set(value, at);
    return this;
  }

  nested(field: string, fill: (writer: this) => void): this {
    const at = this.#reserve(field, 0);
    fill(this);
    this.#put(at - 4, this.#size - at);
    return this;
  }

  /** Valid until the next writer writes. */
  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  #makeRoom(bytes: number): void {
    const end = this.#size + bytes;
    if (end <= this.#buffer.length) return;
    const larger = Buffer.alloc(Math.max(end, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#size);
    this.#buffer = larger;
    if (larger.length <= MOST_KEPT) scratch = larger;
  }

  /** Returns how many bytes it takes. Most texts are short and plain: those are written faster here than by a call. */
  #write(value: string, at: number): number {
    const buffer = this.#buffer;
    const { length } = value;
    if (length > 256) return buffer.write(value, at);
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) return buffer.write(value, at);
      buffer[at + i] = code;
    }
    return length;
  }

  /** A number of 32 bits. Returns where it ends. */
  #put(at: number, value: number): number {
    const buffer = this.#buffer;
    buffer[at] = value;
    buffer[at + 1] = value >>> 8;
    buffer[at + 2] = value >>> 16;
    buffer[at + 3] = value >>> 24;
    return at + 4;
  }

  #reserve(field: string, size: number): number {
    const tag = this.#tags[field];
    if (tag === undefined) throw new Error(`there is no field ${field} in native/protocol/fields.def`);
    const end = this.#size + 8 + ((size + 7) & ~7);
    this.#makeRoom(end - this.#size);
    // A tag has 16 bits, and the 16 after it are zero.
    const at = this.#put(this.#put(this.#size, tag), size);
    for (let i = at + size; i < end; i++) this.#buffer[i] = 0;
    this.#size = end;
    return at;
  }
}
