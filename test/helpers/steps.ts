/** The head of a Python script that says of each step what it gave, or the error; without new privileges, as in every tree. */
export const steps = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
def step(name, act):
    try: print(name, act(), flush=True)
    except OSError as error: print(name, os.strerror(error.errno), flush=True)
`;
