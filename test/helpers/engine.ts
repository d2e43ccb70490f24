import type { Engine } from 'holdfast';

/** The engine that is tested: the one that is chosen on an ordinary machine, or what HOLDFAST_ENGINE names. */
export const engine = (process.env.HOLDFAST_ENGINE || 'notify') as Engine;

/** Only the engine `kernel` can be had: the suite itself runs below something that forbids ptrace or takes it (test/platforms). */
export const untraceable = process.env.HOLDFAST_TEST_UNTRACEABLE === '1';

/** Every held call is a stop: there is no listener. */
export const holdsByStops = engine === 'ptrace';
