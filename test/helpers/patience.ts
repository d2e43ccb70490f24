/** In an emulated machine, and under sanitizers, everything takes that many times as long. */
export const patience = Number(process.env.HOLDFAST_TEST_PATIENCE ?? 1);

/** A time limit of a test that is not vitest's own, in milliseconds. */
export const patient = (milliseconds: number): number => milliseconds * patience;
