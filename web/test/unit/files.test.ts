import { expect, test } from 'vitest';
import {
  joinPath,
  nameProblem,
  parentOf,
  safeName,
  savedName,
  shellQuote,
  sizeText,
} from '../../src/pages/deployments/terminal/fileNames';
import { asksBefore, cleanPaste, pasteTitle } from '../../src/pages/deployments/terminal/paste';

test('a name cannot change how the page is read', () => {
  expect(safeName('plain größe 名前.txt')).toBe('plain größe 名前.txt');
  expect(safeName('a\u001b[31m\nb')).toBe('a\ufffd[31m\ufffdb');
  expect(safeName('invoice\u202exe.pdf')).toBe('invoice\ufffdxe.pdf');
  expect(safeName('a\u200bb\ufeffc')).toBe('a\ufffdb\ufffdc');
  expect(savedName('../a\\b:c\u0000')).toBe('.._a_b_c_');
});

test('paths', () => {
  expect(joinPath('/', 'a')).toBe('/a');
  expect(joinPath('/a/b', 'c')).toBe('/a/b/c');
  expect(parentOf('/a/b')).toBe('/a');
  expect(parentOf('/a')).toBe('/');
  expect(shellQuote("/a b/it's $(x)")).toBe("'/a b/it'\\''s $(x)'");
});

test('a new name is one part of a path', () => {
  for (const name of ['', '.', '..', 'a/b', 'a\0b', 'ö'.repeat(128)]) expect(nameProblem(name)).not.toBeNull();
  for (const name of ['a', '.bashrc', '...', 'with space', 'ö'.repeat(127)]) expect(nameProblem(name)).toBeNull();
});

test('sizes', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 KB'],
    [1_550_000, '1.6 MB'],
    [999_960_000, '1 GB'],
    [64e12, '64 TB'],
  ];
  for (const [bytes, text] of cases) expect(sizeText(bytes)).toBe(text);
});

test('a paste holds text only, and asks where it may run', () => {
  expect(cleanPaste('a\u001b[201~b\r\nc\td\u009b')).toBe('a[201~b\nc\td');
  expect(asksBefore('ls -l')).toBe(false);
  expect(asksBefore('ls -l\n')).toBe(true);
  expect(pasteTitle('ls -l\n')).toBe('Paste and run this line?');
  expect(pasteTitle('a\nb\nc\n')).toBe('Paste 3 lines?');
});
