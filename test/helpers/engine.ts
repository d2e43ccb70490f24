import type { Engine } from 'holdfast';

/** The engine that is tested: the one that is chosen on an ordinary machine, or what HOLDFAST_ENGINE names. */
export const engine = (process.env.HOLDFAST_ENGINE || 'notify') as Engine;

/** Every held call is a stop: there is no listener. */
export const holdsByStops = engine === 'ptrace';
