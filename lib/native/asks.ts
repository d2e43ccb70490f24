// Held calls as the addon hands them over, several in one buffer (native/addon/asks.h): records of native/protocol/tlv.h.
// Read where they lie: what is no longer needed is no garbage, for there was never an object.

/** The top digit of a tag (native/protocol/fields.def). */
const INTEGER = 0;
const TEXT = 1;
const TEXTS = 3;
/** The rest of it is below this (native/addon/text.h). */
const TAGS_OF_TYPE = 256;
/** Marks of a text. Above them stands the number of one that comes often. */
const UTF8 = 1;
const NO_UTF8 = 2;
const NEW_NAME = 4;
const NAME_SHIFT = 3;

/** One held call after the other. What it says of one is gone when the next is read. */
export class AskReader {
  readonly #tags: Readonly<Record<string, number>>;
  #buffer: ArrayBuffer | undefined;
  #words = new Int32Array(0);
  #bytes = Buffer.alloc(0);
  readonly #numbers = new Float64Array(TAGS_OF_TYPE);
  /** Of each text: where it is, how long (-1: it is not there), and its mark. */
  readonly #starts = new Int32Array(TAGS_OF_TYPE);
  readonly #sizes = new Int32Array(TAGS_OF_TYPE);
  readonly #marks = new Int32Array(TAGS_OF_TYPE);
  /** Texts that come often, by number. */
  readonly #names: string[] = [''];
  #argv: string[] | undefined;
  #registers: bigint[] = [];
  readonly #registersTag: number;
  /** The hooks that are to be asked, in order. */
  readonly hooks: number[] = [];

  constructor(tags: Readonly<Record<string, number>>) {
    this.#tags = tags;
    this.#registersTag = (tags.registers ?? 0) & (TAGS_OF_TYPE - 1);
  }

  /** Reads the record at `at` in `buffer`; where the next one is. */
  read(buffer: ArrayBuffer, at: number): number {
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#words = new Int32Array(buffer);
      this.#bytes = Buffer.from(buffer);
    }
    const words = this.#words;
    this.#numbers.fill(Number.NaN);
    this.#sizes.fill(-1);
    this.#argv = undefined;
    if (this.#registers.length > 0) this.#registers = [];
    let hooks = 0;
    let i = at >> 2;
    const end = i + 2 + ((words[i + 1] as number) >> 2);
    for (i += 2; i < end; ) {
      const head = words[i] as number;
      const size = words[i + 1] as number;
      const tag = head & (TAGS_OF_TYPE - 1);
      i += 2;
      switch ((head & 0xf000) >> 12) {
        case INTEGER:
          this.#numbers[tag] = this.#integer(i);
          break;
        case TEXT: {
          const mark = head >>> 16;
          this.#starts[tag] = i << 2;
          this.#sizes[tag] = size;
          this.#marks[tag] = mark;
          if ((mark & NEW_NAME) !== 0) this.#names[mark >> NAME_SHIFT] = this.#string(i << 2, size, mark);
          break;
        }
        case TEXTS:
          this.#argv ??= [];
          this.#argv.push(this.#string(i << 2, size, head >>> 16));
          break;
        default:
          if (tag === this.#registersTag) this.#registers.push(this.#bytes.readBigUInt64LE(i << 2));
          else this.hooks[hooks++] = this.#integer(i);
      }
      i += ((size + 7) & ~7) >> 2;
    }
    this.hooks.length = hooks;
    return i << 2;
  }

  number(field: string, otherwise = 0): number {
    const value = this.#numbers[(this.#tags[field] as number) & (TAGS_OF_TYPE - 1)] as number;
    return Number.isNaN(value) ? otherwise : value;
  }

  optionalNumber(field: string): number | undefined {
    const value = this.number(field, Number.NaN);
    return Number.isNaN(value) ? undefined : value;
  }

  text(field: string): string {
    return this.optionalText(field) ?? '';
  }

  optionalText(field: string): string | undefined {
    const tag = (this.#tags[field] as number) & (TAGS_OF_TYPE - 1);
    const size = this.#sizes[tag] as number;
    if (size < 0) return undefined;
    const mark = this.#marks[tag] as number;
    const name = mark >> NAME_SHIFT;
    return name !== 0 ? this.#names[name] : this.#string(this.#starts[tag] as number, size, mark);
  }

  /** The exact bytes of a text that is not valid UTF-8. */
  bytes(field: string): Buffer | undefined {
    const tag = (this.#tags[field] as number) & (TAGS_OF_TYPE - 1);
    const size = this.#sizes[tag] as number;
    if (size < 0 || ((this.#marks[tag] as number) & NO_UTF8) === 0) return undefined;
    const start = this.#starts[tag] as number;
    return Buffer.from(this.#bytes.subarray(start, start + size));
  }

  argv(): string[] {
    return this.#argv ?? [];
  }

  /** Of a call that is known by them. */
  registers(): readonly bigint[] {
    return this.#registers;
  }

  #integer(i: number): number {
    return (this.#words[i + 1] as number) * 0x1_0000_0000 + ((this.#words[i] as number) >>> 0);
  }

  #string(start: number, size: number, mark: number): string {
    return this.#bytes.toString((mark & (UTF8 | NO_UTF8)) === 0 ? 'latin1' : 'utf8', start, start + size);
  }
}
