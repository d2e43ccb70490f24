# Somebody who writes an application: runs a tool that is not trusted, and looks at what came of it.
npm init --yes > /dev/null
npm install $HOLDFAST
npx holdfast doctor

mkdir input out
echo '1,2' > input/data.csv
echo secret > "$HOME/.token"
cat > app.mjs <<'END'
import { runSandboxed } from 'holdfast';
const { stdout } = await runSandboxed('sh', ['-c', 'cat input/data.csv; cp input/data.csv out/'], {
  policy: { files: { read: ['input', 'out'], write: ['out'] } },
});
console.log(stdout);
const bad = await runSandboxed('cat', [`${process.env.HOME}/.token`], { reject: false });
console.log(bad.exitCode, bad.violations.length, bad.violations[0].message);
END
node app.mjs > output
cat output
grep -qx '1,2' output
grep -q '^1 1 .*\.token.*files.read' output
test "$(cat out/data.csv)" = 1,2

cat > app.cjs <<'END'
const { runSandboxedSync } = require('holdfast');
console.log(runSandboxedSync('echo', ['at once']).stdout);
END
test "$(node app.cjs)" = 'at once'
