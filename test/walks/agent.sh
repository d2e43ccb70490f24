# Somebody whose agent runs commands: confines one on the command line, learns what it needs, and keeps that as a file.
npm init --yes > /dev/null
npm install $HOLDFAST

printf 'all:\n\tmkdir -p dist && cp src/main.txt dist/ && date > dist/stamp\n' > Makefile
mkdir src && echo source > src/main.txt
npx holdfast run --read . --write dist -- make
test "$(cat dist/main.txt)" = source

# What is refused is said, with what would allow it.
rm -r dist && mkdir dist
if npx holdfast run --read . -- make 2> refused; then exit 1; fi
cat refused
grep -q -- '--write .*dist/main.txt' refused

rm -r dist
npx holdfast learn -o policy.json -- make
cat policy.json
rm -r dist && mkdir dist
npx holdfast run --policy policy.json -- make
test "$(cat dist/main.txt)" = source

# It refuses what was not in the lesson.
printf 'all:\n\tcat %s/.ssh/id && cp src/main.txt dist/\n' "$HOME" > Makefile
mkdir "$HOME/.ssh" && echo key > "$HOME/.ssh/id"
if npx holdfast run --policy policy.json -- make > printed 2>&1; then exit 1; fi
cat printed
! grep -qx key printed
npx holdfast explain --policy policy.json --read "$HOME/.ssh/id" && exit 1
npx holdfast run --policy policy.json --report report.html -- ls > /dev/null
grep -q '<html' report.html
