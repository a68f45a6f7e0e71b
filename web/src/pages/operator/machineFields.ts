// The fields of a machine as texts of a form, and back.

import type { Schema } from '../../api/client';

type Fields = Schema['MachineFields'];
type Machine = Schema['Machine'];

/** How Billet reaches a machine: through its BMC, or by SSH alone. */
export type Reach = 'bmc' | 'ssh';

export interface Field {
  name: Exclude<keyof Fields, 'rotatePassword'>;
  label: string;
  /** A secret can be written and not read: an empty text leaves it as it is. */
  kind: 'text' | 'number' | 'list' | 'labels' | 'secret';
  example: string;
  /** Set where only machines that are reached so have it. */
  of?: Reach;
}

const field = (name: Field['name'], label: string, kind: Field['kind'], example: string, of?: Reach): Field => ({
  name,
  label,
  kind,
  example,
  of,
});

/** The fields in their order. */
export const fields: Field[] = [
  field('name', 'Name', 'text', 'gpu-01'),
  field('bmcUrl', 'BMC URL', 'text', 'https://10.0.0.17', 'bmc'),
  field('bmcUser', 'BMC user', 'text', 'billet', 'bmc'),
  field('bmcPassword', 'BMC password', 'secret', '', 'bmc'),
  field('bmcCertificateSha256', 'BMC certificate (SHA-256)', 'text', 'optional', 'bmc'),
  field('console', 'Serial console', 'text', 'off, openbmc, idrac or ilo', 'bmc'),
  field('consolePort', 'Console port', 'number', 'the usual one', 'bmc'),
  field('consoleUser', 'Console user', 'text', 'needed for a console', 'bmc'),
  field('consolePassword', 'Console password', 'secret', 'needed for a console', 'bmc'),
  field('consoleHostKey', 'Console SSH host key', 'text', 'ssh-ed25519 AAAA…', 'bmc'),
  field('sshAddress', 'SSH address', 'text', '192.0.2.19:22', 'ssh'),
  field('sshUser', 'SSH user', 'text', 'root', 'ssh'),
  field('sshHostKey', 'SSH host key', 'text', 'ssh-ed25519 AAAA…', 'ssh'),
  field('sshPrivateKey', 'SSH private key', 'secret', 'one is made if empty', 'ssh'),
  field('idleImage', 'Idle image', 'text', 'Debian 12', 'ssh'),
  field('macs', 'MAC addresses', 'list', '3c:ec:ef:00:00:01'),
  field('address', 'Address', 'text', '192.0.2.11/24'),
  field('gateway', 'Gateway', 'text', '192.0.2.1'),
  field('nameservers', 'DNS servers', 'list', '192.0.2.53'),
  field('region', 'Region', 'text', 'oslo-1'),
  field('fabric', 'Fabric', 'text', 'none'),
  field('rack', 'Rack', 'text', 'A1'),
  field('position', 'Lowest rack unit', 'number', '10'),
  field('height', 'Rack units', 'number', '8'),
  field('hourlyPrice', 'Price per hour (USD)', 'number', '12.50'),
  field('gpuType', 'GPU type', 'text', 'NVIDIA H100'),
  field('gpuCount', 'Number of GPUs', 'number', '8'),
  field('gpuMemoryGb', 'GPU memory (GB)', 'number', '80'),
  field('vcpus', 'Processor threads', 'number', 'unknown'),
  field('memoryGb', 'Memory (GB)', 'number', 'unknown'),
  field('storageGb', 'Storage (GB)', 'number', 'unknown'),
  field('labels', 'Labels', 'labels', 'owner=lab, batch=3'),
];

export type Texts = Partial<Record<Field['name'], string>>;

/** The fields of a machine as texts; secrets and what is not set are empty. */
export function textsOf(m: Machine | undefined): Texts {
  const texts: Texts = {};
  for (const f of fields) {
    if (!m || f.kind === 'secret') continue;
    const value = m[f.name as keyof Machine];
    if (f.kind === 'list') texts[f.name] = (value as string[]).join(' ');
    else if (f.kind === 'labels')
      texts[f.name] = Object.entries(value as Record<string, string>)
        .map(([k, v]) => `${k}=${v}`)
        .join(', ');
    else texts[f.name] = value === 0 ? '' : String(value ?? '');
  }
  return texts;
}

/** "a=1, b=2" as labels; null where a part has no name or no "=". */
export function labelsOf(text: string): Record<string, string> | null {
  const labels: Record<string, string> = {};
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const [name = '', ...value] = part.split('=');
    if (name.trim() === '' || value.length === 0) return null;
    labels[name.trim()] = value.join('=').trim();
  }
  return labels;
}

/** What is wrong with the text of a field; undefined if the server has to decide. */
export function wrongIn(f: Field, text = ''): string | undefined {
  if (f.kind === 'number' && Number.isNaN(Number(text.trim()))) return 'Enter a number.';
  if (f.kind === 'labels' && labelsOf(text) === null) return 'Enter names and values, such as owner=lab.';
  return undefined;
}

/** The fields whose texts differ from the stored ones, as the API takes them. */
export function requestOf(shown: Field[], texts: Texts, stored: Texts): Fields {
  const body: Record<string, unknown> = {};
  for (const f of shown) {
    const raw = texts[f.name] ?? '';
    const text = f.kind === 'secret' ? raw : raw.trim();
    if (text === (stored[f.name] ?? '')) continue;
    if (f.kind === 'number') body[f.name] = Number(text);
    else if (f.kind === 'list') body[f.name] = text === '' ? [] : text.split(/[\s,]+/);
    else if (f.kind === 'labels') body[f.name] = labelsOf(text) ?? {};
    else body[f.name] = text;
  }
  return body as Fields;
}
