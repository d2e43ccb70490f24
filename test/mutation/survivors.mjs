// Checks that no test misses when they are off, each with the reason why nothing can be seen of it. `check` is what
// `npm run test:mutation` prints: the file and the condition.
export const survivors = [];
