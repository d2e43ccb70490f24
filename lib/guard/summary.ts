// What the scripts of an install tried, for people.
import { homedir } from 'node:os';
import { createColors } from 'picocolors';
import { type Entry, refusedIn } from './journal.ts';

// C0, DEL and C1, line and paragraph separators, and what changes the direction of text: packages choose these names.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** Text that a package has chosen, for a terminal. */
export const visible = (text: string) =>
  text.replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** JSON, of which terminals print nothing that they would obey. Line breaks stand only between its tokens. */
export const escaped = (json: string) => json.split('\n').map(visible).join('\n');

function shortened(text: string, project: string | undefined): string {
  const from = project === undefined ? text : text.replaceAll(`${project}/`, '');
  return visible(from.replaceAll(`${homedir()}/`, '~/'));
}

function outcome({ code, signal, skipped }: Entry): string {
  if (skipped) return 'not run, as the project says';
  if (signal !== null) return `ended by ${signal}`;
  return code === 0 ? 'succeeded' : `failed with ${code}`;
}

const words: Readonly<Record<string, string>> = {
  read: 'read',
  write: 'write',
  exec: 'execute',
  metadata: 'look at',
  connect: 'connect to',
  bind: 'listen on',
  openat: 'open',
  cwd: 'start in',
};

/** A line for each script, and below it what it tried in vain. `looks`: what it only looked for, too. */
export function summaryText(
  entries: readonly Entry[],
  { project, coloured = false, looks = false }: { project?: string; coloured?: boolean; looks?: boolean },
): string {
  const pc = createColors(coloured);
  const lines: string[] = [];
  for (const entry of entries) {
    const refused = refusedIn(entry);
    const mark = refused > 0 ? pc.red('✗') : entry.code === 0 ? pc.green('✓') : pc.yellow('!');
    const by = entry.exception === undefined ? '' : `, with the exception ${visible(entry.exception)}`;
    const seconds = (entry.durationMs / 1000).toFixed(1);
    lines.push(
      `${mark} ${pc.bold(visible(entry.package))} ${visible(entry.event)}: ${outcome(entry)} after ${seconds} s${by}`,
    );
    for (const note of entry.notes) lines.push(`    ${pc.yellow('!')} ${visible(note)}`);
    for (const { what, on, program, count, look } of entry.tries) {
      if (look && !looks) continue;
      const times = count > 1 ? ` (${count} times)` : '';
      const who = program === undefined ? '' : pc.dim(` by ${shortened(program, project)}`);
      lines.push(`    ${look ? 'looked' : 'refused'}: ${words[what] ?? what} ${shortened(on, project)}${times}${who}`);
    }
    if (entry.more > 0) lines.push(`    refused: ${entry.more} more`);
    if (looks && entry.moreLooks) lines.push(`    looked: ${entry.moreLooks} more`);
  }
  const bad = entries.filter((entry) => refusedIn(entry) > 0).length;
  const scripts = `${entries.length} ${entries.length === 1 ? 'script' : 'scripts'}`;
  lines.push(
    entries.length === 0
      ? 'holdfast-guard: no script of a dependency has run'
      : `holdfast-guard: ${scripts}, ${bad === 0 ? 'none tried' : `${bad} tried`} what it may not`,
  );
  return `${lines.join('\n')}\n`;
}
