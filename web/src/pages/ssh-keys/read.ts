// What somebody pasted or dropped, before anything is sent: a private key must never leave the page.

export type Read =
  | { kind: 'public'; text: string; name: string }
  | { kind: 'private' }
  | { kind: 'neither'; why: string };

const types =
  /^(ssh-ed25519|ssh-rsa|ssh-dss|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) /;

export function readKey(raw: string): Read {
  const text = raw.trim();
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text) || /^PuTTY-User-Key-File-/.test(text))
    return { kind: 'private' };
  if (/-----BEGIN|---- BEGIN SSH2/.test(text))
    return { kind: 'neither', why: 'This is another format. Convert it with: ssh-keygen -i -f key.pub' };
  const lines = text.split('\n').filter((l) => l.trim() && !l.startsWith('#'));
  if (lines.length > 1) return { kind: 'neither', why: `These are ${lines.length} lines; add one key at a time.` };
  if (!types.test(text))
    return { kind: 'neither', why: 'A public key is one line and begins with its type, such as ssh-ed25519 AAAA….' };
  return { kind: 'public', text, name: text.split(/\s+/).slice(2).join(' ') };
}
