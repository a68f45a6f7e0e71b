import { expect, test } from 'vitest';
import { formatCode } from '../../src/pages/device/code';
import { browserOf } from '../../src/pages/settings/browser';
import { allScopes, presetOf, presets } from '../../src/pages/settings/scopes';
import { parseKey } from '../../src/pages/ssh-keys/publicKey';

test('a private key is recognized in every format', () => {
  for (const text of [
    '-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl',
    '-----BEGIN RSA PRIVATE KEY-----\nMIIE',
    '-----BEGIN PRIVATE KEY-----\nMIIE',
    'PuTTY-User-Key-File-3: ssh-ed25519',
  ])
    expect(parseKey(text).kind, text).toBe('private');
});

test('a public key has its comment as name', () => {
  expect(parseKey('ssh-ed25519 AAAAC3 me@laptop\n')).toEqual({
    kind: 'public',
    text: 'ssh-ed25519 AAAAC3 me@laptop',
    name: 'me@laptop',
  });
});

test('anything else is invalid', () => {
  for (const text of ['hello', 'ssh-ed25519 A a\nssh-ed25519 B b', '-----BEGIN PUBLIC KEY-----'])
    expect(parseKey(text).kind, text).toBe('invalid');
});

test('a set of scopes has the name of its preset', () => {
  expect(presetOf(allScopes)).toBe('Full access');
  for (const p of presets) expect(presetOf(p.scopes)).toBe(p.name);
  expect(presetOf(['wallet:read'])).toBe('wallet:read');
  expect(presetOf(['wallet:read', 'volumes:read'])).toBe('2 scopes');
});

test('a device code is formatted while it is typed', () => {
  expect(formatCode('bcdf')).toBe('BCDF');
  expect(formatCode('bcdf ghjk')).toBe('BCDF-GHJK');
  expect(formatCode('BCDF-GHJKL')).toBe('BCDF-GHJK');
});

test('a user agent becomes a browser and a system', () => {
  expect(browserOf('Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0')).toBe('Firefox on Linux');
  expect(browserOf('Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0')).toBe('Edge on Windows');
  expect(browserOf('')).toBe('Unknown');
});
