/** What each program does with the package, once it has it. */
export const spawnText = `
const child = spawnSandboxed('echo', ['from the package'], { stdio: ['ignore', 'pipe', 'inherit'] });
child.stdout?.pipe(process.stdout);
child.on('error', (error) => { console.log(String(error)); process.exitCode = 1; });
child.on('close', (code) => { process.exitCode ||= code ?? 1; });
`;
