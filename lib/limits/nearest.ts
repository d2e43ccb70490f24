/** How many letters must be put in, left out or changed. Another case is less than half a change. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const [a = '', b = ''] = [from[i - 1], to[j - 1]];
      const change = a === b ? 0 : a.toLowerCase() === b.toLowerCase() ? 0.4 : 1;
      const least = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + change);
      next.push(least);
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

/** The word that was probably meant, if one is near enough. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  // Half of a word may be wrong, and of a short one not all.
  let least = Math.max(1, word.length / 2);
  for (const candidate of known) {
    const far = distance(word, candidate);
    if (far > least || far >= Math.max(word.length, candidate.length)) continue;
    if (far < least || best === undefined) best = candidate;
    least = far;
  }
  return best;
}
