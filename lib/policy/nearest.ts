/** How many letters must change: insertions, removals, replacements, and neighbours that are swapped. */
function distance(one: string, other: string, most: number): number {
  if (Math.abs(one.length - other.length) > most) return most + 1;
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1];
      let least = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      }
      next.push(least);
    }
    before = row;
    row = next;
  }
  return row[other.length] ?? most + 1;
}

/** The known word that was most likely meant, if one is near. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    if (candidate.toLowerCase() === word.toLowerCase()) return candidate;
    const far = distance(word.toLowerCase(), candidate.toLowerCase(), least);
    if (far < least) {
      least = far;
      best = candidate;
    }
  }
  return best;
}

/** ` (did you mean 'uname'?)`, or nothing. */
export function didYouMean(word: unknown, known: Iterable<string>): string {
  const meant = typeof word === 'string' ? nearest(word, known) : undefined;
  return meant === undefined ? '' : ` (did you mean '${meant}'?)`;
}

/** The word that {@link didYouMean} has put into a message. */
export function meantIn(message: string): string | undefined {
  return /\(did you mean '([^']+)'\?\)/.exec(message)?.[1];
}
