/** The supervisor is built with this sanitizer (test/sanitizers/run.mjs): `address`, `thread`. */
export const sanitizer: string | undefined = process.env.HOLDFAST_TEST_SANITIZER;
