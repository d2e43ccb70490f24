// What this kernel has, by asking it: a test that needs more says so, and is skipped.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { native } from '../../lib/native/native.ts';

/** PR_SET_MDWE, since Linux 6.3: memory that is writable and executable can be refused to a process for good. */
export const refusesWritableCode = native().support().refusesWritableCode;

/** The vDSO cannot read these clocks (an emulated machine's): there it asks the kernel, by a system call. */
export const clockIsSystemCall = /^(hpet|acpi_pm|refined-jiffies|jiffies)$/.test(
  readFileSync('/sys/devices/system/clocksource/clocksource0/current_clocksource', 'latin1').trim(),
);

const asksForKillable = `
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(${process.arch === 'x64' ? 317 : 277}, 1, ctypes.c_ulong(8 | 32), None)
raise SystemExit(0 if ctypes.get_errno() == errno.EFAULT else 1)`;

/** SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, since Linux 5.19; without it what a listener would receive is decided at stops. */
export const holdsToTheEnd = () => spawnSync('/usr/bin/python3', ['-S', '-c', asksForKillable]).status === 0;
