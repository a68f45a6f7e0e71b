// Checks what was pasted or dropped before anything is sent: a private key must never leave the
// page.

export type ParsedKey =
  | { kind: 'public'; text: string; name: string }
  | { kind: 'private' }
  | { kind: 'invalid'; reason: string };

const types =
  /^(ssh-ed25519|ssh-rsa|ssh-dss|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) /;

export function parseKey(raw: string): ParsedKey {
  const text = raw.trim();
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text) || /^PuTTY-User-Key-File-/.test(text))
    return { kind: 'private' };
  if (/-----BEGIN|---- BEGIN SSH2/.test(text))
    return { kind: 'invalid', reason: 'Unsupported key format. Convert the key: ssh-keygen -i -f key.pub' };
  const lines = text.split('\n').filter((l) => l.trim() && !l.startsWith('#'));
  if (lines.length > 1) return { kind: 'invalid', reason: `Found ${lines.length} lines. Add one key at a time.` };
  if (!types.test(text))
    return {
      kind: 'invalid',
      reason: 'A public key is one line that starts with its type, such as ssh-ed25519 AAAA….',
    };
  return { kind: 'public', text, name: text.split(/\s+/).slice(2).join(' ') };
}
