# Somebody who installs packages: their install scripts build, and do nothing else.
npm init --yes > /dev/null
npm install $HOLDFAST
echo 'script-shell=${PWD}/node_modules/holdfast/dist/guard.js' >> .npmrc
echo '//registry.npmjs.org/:_authToken=npm_secret' > "$HOME/.npmrc"

mkdir -p packages/good packages/bad
cat > packages/good/package.json <<'END'
{ "name": "good", "version": "1.0.0", "scripts": { "install": "cc -o hello hello.c && ./hello > built" } }
END
printf '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n' > packages/good/hello.c
cat > packages/bad/package.json <<'END'
{ "name": "bad", "version": "1.0.0", "scripts": { "postinstall": "cat $HOME/.npmrc > stolen; echo evil >> $HOME/.bashrc; true" } }
END
npm install --install-links ./packages/good ./packages/bad
test "$(cat node_modules/good/built)" = hello
! grep -qs npm_secret node_modules/bad/stolen
test ! -e "$HOME/.bashrc"
npx holdfast-guard summary > summary
cat summary
grep -q '\.npmrc' summary
