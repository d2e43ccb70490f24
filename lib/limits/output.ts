// The limit of output, held where Node reads it: not one byte more is handed out.
import type { Readable } from 'node:stream';

/**
 * Counts what comes out of streams, before anybody gets it. What comes after the limit is thrown away, so that the
 * streams still end.
 * @param exceeded Called once, with what there was in all, when the first byte too many has come.
 */
export function limitOutput(
  streams: readonly (Readable | null | undefined)[],
  limit: number,
  exceeded: (reached: number) => void,
): void {
  let left = limit;
  let over = false;
  for (const stream of streams) {
    if (stream == null) continue;
    const { push } = stream;
    stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      if (chunk === null) return push.call(stream, null);
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : (chunk as Uint8Array);
      if (!over && bytes.length <= left) {
        left -= bytes.length;
        return push.call(stream, bytes);
      }
      if (over) return true;
      over = true;
      const last = bytes.subarray(0, left);
      const reached = limit - left + bytes.length;
      left = 0;
      if (last.length > 0) push.call(stream, last);
      exceeded(reached);
      return true;
    };
  }
}
