// A registry on loopback that has holdfast as it would be published, and what it depends on. Nothing else is to be had there,
// so whoever wants a compiler's helpers, a native build or a script's download at install has to do without.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createGunzip } from 'node:zlib';

/** The manifest within a tarball of npm's: an entry of 512 bytes of header, its size in octal at 124, and its contents. */
async function manifestOf(tarball) {
  const chunks = [];
  const unpacked = createGunzip();
  unpacked.end(tarball);
  for await (const chunk of unpacked) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  for (let at = 0; at + 512 <= bytes.length; ) {
    const name = bytes.toString('latin1', at, bytes.indexOf(0, at));
    const size = Number.parseInt(bytes.toString('latin1', at + 124, at + 136), 8) || 0;
    if (name === 'package/package.json') return JSON.parse(bytes.toString('utf8', at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new Error('there is no manifest in the tarball');
}

/** Its address, and how to end it. */
export async function startRegistry(paths) {
  const packages = new Map();
  for (const path of paths) {
    const tarball = readFileSync(path);
    const manifest = await manifestOf(tarball);
    packages.set(manifest.name, { tarball, manifest });
  }
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://x');
    const found = packages.get(pathname.split('/')[1] ?? '');
    if (found === undefined) return response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
    const { tarball, manifest } = found;
    if (pathname.endsWith('.tgz')) return response.end(tarball);
    const { name, version } = manifest;
    const dist = {
      tarball: `http://127.0.0.1:${server.address().port}/${name}/-/${name}-${version}.tgz`,
      integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}`,
      shasum: createHash('sha1').update(tarball).digest('hex'),
    };
    const scripts = ['preinstall', 'install', 'postinstall'];
    const hasInstallScript = scripts.some((script) => manifest.scripts?.[script] !== undefined);
    const published = { ...manifest, _id: `${name}@${version}`, dist, ...(hasInstallScript && { hasInstallScript }) };
    const long = '2020-01-01T00:00:00.000Z'; // some managers take nothing that is a few days old
    const whole = { name, 'dist-tags': { latest: version }, versions: { [version]: published } };
    const body = { ...whole, modified: long, time: { created: long, modified: long, [version]: long } };
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
