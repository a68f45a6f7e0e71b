// After vite: removes assets that this build did not write, and puts a .gz beside every text file, so that the
// server can send it as it is instead of compressing it for each visitor.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';

const dist = new URL('../../internal/dashboard/dist/', import.meta.url).pathname;
const manifest = join(dist, 'assets/manifest.json');
const wanted = new Set();
for (const chunk of Object.values(JSON.parse(readFileSync(manifest, 'utf8'))))
  for (const file of [chunk.file, ...(chunk.css ?? []), ...(chunk.assets ?? [])]) wanted.add(join(dist, file));
// The terminal's client is not Vite's: `make build` puts it under assets/ssh.
const foreign = join(dist, 'assets/ssh');
const text = new Set(['.js', '.css', '.html', '.svg', '.json', '.wasm', '.txt']);

function walk(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) walk(path);
    else visit(path);
  }
}

function visit(path) {
  const old = path.includes('/assets/') && !path.startsWith(foreign) && path !== manifest;
  if (path.endsWith('.gz')) {
    if (!existsSync(path.slice(0, -3)) || (old && !wanted.has(path.slice(0, -3)))) rmSync(path);
    return;
  }
  if (old && !wanted.has(path)) return rmSync(path);
  if (!text.has(extname(path))) return;
  const plain = readFileSync(path);
  if (plain.length < 1000) return;
  writeFileSync(`${path}.gz`, gzipSync(plain, { level: constants.Z_BEST_COMPRESSION }));
}

walk(dist);
