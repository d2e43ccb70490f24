// Tests that end otherwise than bare, and why: { suite: { 'pattern of the test': 'reason' } }. Each reason is a difference
// that docs/security.md names.
export const expected = {};
