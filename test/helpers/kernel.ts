// What this kernel has, by asking it: a test that needs more says so, and is skipped.
import { native } from '../../lib/native/native.ts';

/** PR_SET_MDWE, since Linux 6.3: memory that is writable and executable can be refused to a process for good. */
export const refusesWritableCode = native().support().refusesWritableCode;
