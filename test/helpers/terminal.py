"""A terminal with somebody at it: terminal.py MILLISECONDS STEPS COMMAND...

STEPS is JSON, a list of ["expect", text], ["send", text] and ["size", rows, columns]. Prints, as JSON, what stood on the
terminal, the step that did not come about within so long, and how the command ended (-n: by signal n; null: not).
"""
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

limit, steps = int(sys.argv[1]) / 1000, json.loads(sys.argv[2])
pid, fd = pty.fork()
if pid == 0:
    for one in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
        signal.signal(one, signal.SIG_DFL)
    os.execvp(sys.argv[3], sys.argv[3:])
text, at, failure, code = '', 0, None, None


def read(until):
    """False if nothing more comes."""
    global text
    if not select.select([fd], [], [], max(0, until - time.monotonic()))[0]:
        return False
    try:
        data = os.read(fd, 65536)
    except OSError:  # nobody has it any more
        data = b''
    text += data.decode('utf8', 'replace').replace('\r\n', '\n')
    return data != b''


for kind, *what in steps:
    until = time.monotonic() + limit
    if kind == 'send':
        os.write(fd, what[0].encode())
    elif kind == 'size':
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', *what, 0, 0))
    else:
        while (found := text.find(what[0], at)) < 0 and read(until):
            pass
        if found < 0:
            failure = what[0]
            break
        at = found + len(what[0])
until = time.monotonic() + limit
while failure is None and read(until):
    pass
while failure is None and time.monotonic() < until:
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        code = os.waitstatus_to_exitcode(status)
        break
    time.sleep(0.01)
if code is None:
    os.kill(pid, signal.SIGKILL)
print(json.dumps({'text': text, 'failure': failure, 'code': code}))
