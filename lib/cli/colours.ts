// Colours, for people at a terminal.
import { createColors } from 'picocolors';

/** picocolors would also colour what CI keeps (https://no-color.org, https://force-color.org). */
export function coloursFor({ isTTY }: { readonly isTTY?: boolean }): ReturnType<typeof createColors> {
  return createColors(process.env.FORCE_COLOR ? true : !process.env.NO_COLOR && isTTY === true);
}
