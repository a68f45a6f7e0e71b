import { describe, expect, test } from 'vitest';
import { atPrompt, backoff, endText, isLost } from '../../src/pages/deployments/terminal/session';
import { keyAction, type Platform, platformOf } from '../../src/pages/deployments/terminal/shortcuts';

function press(keys: string) {
  const parts = keys.split('+');
  return {
    key: parts.at(-1) ?? '',
    ctrlKey: parts.includes('Ctrl'),
    shiftKey: parts.includes('Shift'),
    metaKey: parts.includes('Cmd'),
    altKey: parts.includes('Alt'),
  };
}

describe('terminal shortcuts', () => {
  const cases: [string, boolean, Platform, string][] = [
    ['Ctrl+c', true, 'other', 'copy'],
    ['Ctrl+c', false, 'other', 'shell'],
    ['Ctrl+c', true, 'mac', 'shell'],
    ['Ctrl+Shift+C', true, 'other', 'copy'],
    ['Ctrl+Shift+C', false, 'windows', 'copy'],
    ['Ctrl+Insert', true, 'windows', 'copy'],
    ['Cmd+c', true, 'mac', 'copy'],
    ['Cmd+c', true, 'other', 'shell'],
    ['Ctrl+Shift+V', false, 'other', 'paste'],
    ['Shift+Insert', false, 'other', 'paste'],
    ['Ctrl+v', false, 'windows', 'paste'],
    ['Ctrl+v', false, 'other', 'shell'],
    ['Cmd+v', false, 'mac', 'paste'],
    ['Ctrl+Shift+X', false, 'other', 'exit'],
    ['Ctrl+Alt+c', true, 'other', 'shell'],
    ['c', true, 'other', 'shell'],
  ];
  for (const [keys, selected, platform, want] of cases)
    test(`${keys} ${selected ? 'with' : 'without'} a selection on ${platform}`, () => {
      expect(keyAction(press(keys), selected, platform)).toBe(want);
    });

  test('the platform comes from the user agent', () => {
    expect(platformOf('Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)')).toBe('mac');
    expect(platformOf('Mozilla/5.0 (Windows NT 10.0; Win64; x64)')).toBe('windows');
    expect(platformOf('Mozilla/5.0 (X11; Linux x86_64)')).toBe('other');
  });
});

test('only a lost connection is reopened automatically', () => {
  const end = (closeCode: number, exitCode: number | null = null) => ({ message: '', exitCode, closeCode });
  for (const code of [1006, 1012, 1013]) expect(isLost(end(code))).toBe(true);
  // Closed by this page, by the machine, for inactivity, or because the session ended.
  for (const code of [0, 1000, 1001, 1008]) expect(isLost(end(code))).toBe(false);
  expect(isLost(end(1006, 0))).toBe(false);
  expect([1, 2, 3, 4, 5, 6].map(backoff)).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000]);
});

test('every end has a message', () => {
  expect(endText({ message: '', exitCode: 0, closeCode: 0 })).toBe('The shell exited.');
  expect(endText({ message: '', exitCode: 2, closeCode: 0 })).toBe('The shell exited with code 2.');
  expect(endText({ message: 'The server stops.', exitCode: null, closeCode: 1001 })).toBe('The server stops.');
  expect(endText({ message: '', exitCode: null, closeCode: 0 })).not.toBe('');
});

test('only an empty prompt is no running command', () => {
  for (const line of ['root@node:~# ', 'user@host:/srv$ ', 'host% ', '❯ ', '# '])
    expect(atPrompt(false, line)).toBe(true);
  for (const line of ['', 'root@node:~# make', '>>> ', 'Password: ', 'mysql> '])
    expect(atPrompt(false, line)).toBe(false);
  expect(atPrompt(true, 'root@node:~# ')).toBe(false);
});
