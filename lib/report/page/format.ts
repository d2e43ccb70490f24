// Figures for people.

const grouped = new Intl.NumberFormat('en-GB');

export const count = (value: number) => grouped.format(value);

export const plural = (value: number, one: string, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

const digits = (value: number) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

/** Milliseconds. */
export function duration(ms: number): string {
  if (ms < 0.001) return '0 ms';
  if (ms < 1) return `${digits(ms * 1000)} µs`;
  if (ms < 1000) return `${digits(ms)} ms`;
  if (ms < 60_000) return `${digits(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** A place on an axis that goes so far, to what two neighbours differ by. */
export function instant(ms: number, step: number, until: number): string {
  if (ms === 0) return '0';
  if (step >= 60_000) return `${+(ms / 60_000).toFixed(1)} min`;
  if (step >= 1000 || until >= 1000)
    return `${+(ms / 1000).toFixed(step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3)} s`;
  if (step >= 1) return `${+ms.toFixed(0)} ms`;
  return `${+ms.toFixed(3)} ms`;
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let amount = value / 1024;
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${digits(amount)} ${units[unit]}`;
}

export const basename = (path: string) => path.slice(path.lastIndexOf('/') + 1) || path;

const plain = /^[\w@%+=:,./-]+$/;

/** As one would type it in a shell. */
export const quoted = (argument: string) =>
  plain.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;

export const commandLine = (argv: readonly string[]) => argv.map(quoted).join(' ');

/** A date in the reader's zone, the month as a word. */
export const date = (unix: number) =>
  new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' }).format(unix);
