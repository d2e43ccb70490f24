// What a command reads.
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What can be given to a command to read: text, bytes, a stream, or parts of it one after the other. */
export type RunInput =
  | string
  | Uint8Array
  | Readable
  | Iterable<string | Uint8Array>
  | AsyncIterable<string | Uint8Array>;

export function isInput(value: unknown): value is RunInput {
  if (typeof value === 'string' || value instanceof Uint8Array) return true;
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
}

/** How a pipe says that its reader has gone: a command need not read what it is given. */
const gone = new Set([
  'EPIPE',
  'ECONNRESET',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);

/**
 * Writes it, as fast as it is read.
 * @param failed Called if the input itself fails: then the command would take a part of it for the whole.
 */
export function give(stdin: Writable, input: RunInput, failed: (error: unknown) => void): void {
  if (typeof input === 'string' || input instanceof Uint8Array) {
    stdin.on('error', (error: NodeJS.ErrnoException) => {
      if (!gone.has(error.code ?? '')) failed(error);
    });
    stdin.end(input);
    return;
  }
  const source = input instanceof Readable ? input : Readable.from(input, { objectMode: false });
  let own: unknown;
  source.once('error', (error) => {
    own = error;
  });
  pipeline(source, stdin).catch((error: NodeJS.ErrnoException) => {
    if (error === own || !gone.has(error?.code ?? '')) failed(error);
  });
}
