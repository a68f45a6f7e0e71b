// xterm's style sheet and ours are on one page, so that their class names must differ.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const web = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, web), 'utf8');

function classesOfStyle(css: string): string[] {
  const rules = css.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\{[^{}]*\}/g, '{}');
  return [...rules.matchAll(/\.(-?[A-Za-z_][\w-]*)/g)].map((m) => m[1] ?? '');
}

test('no class of ours is one of xterm’s', () => {
  const script = read('node_modules/@xterm/xterm/lib/xterm.js');
  const xterms = new Set(classesOfStyle(read('node_modules/@xterm/xterm/css/xterm.css')));
  for (const m of script.matchAll(/classList\.(?:add|toggle)\(([^)]*)\)/g))
    for (const name of (m[1] ?? '').matchAll(/["']([\w-]+)["']/g)) xterms.add(name[1] ?? '');
  expect(xterms).toContain('xterm');
  expect(xterms).toContain('terminal');
  const ours = readdirSync(new URL('src', web), { recursive: true, encoding: 'utf8' }).filter((f) =>
    f.endsWith('.css'),
  );
  expect(ours.length).toBeGreaterThan(5);
  for (const file of ours)
    expect(
      classesOfStyle(read(`src/${file}`)).filter((c) => xterms.has(c)),
      file,
    ).toEqual([]);
});
