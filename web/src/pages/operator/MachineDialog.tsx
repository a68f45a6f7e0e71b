import { PasswordInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { fieldErrors, useSend } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { toast } from '../../parts/toast';
import './priceRules.css';

type Kind = 'text' | 'number' | 'list';
type Fields = Schema['MachineFields'];

/** The fields in their order, with what they are called and an example. */
const fields: [keyof Fields, string, Kind, string][] = [
  ['name', 'Name', 'text', 'gpu-01'],
  ['bmcUrl', 'BMC URL', 'text', 'https://10.0.0.17'],
  ['bmcUser', 'BMC user', 'text', 'billet'],
  ['bmcPassword', 'BMC password', 'text', ''],
  ['bmcCertificateSha256', 'BMC certificate (SHA-256)', 'text', 'optional'],
  ['console', 'Serial console', 'text', 'off, openbmc, idrac or ilo'],
  ['consolePort', 'Console port', 'number', 'the usual one'],
  ['consoleUser', 'Console user', 'text', 'needed for a console'],
  ['consolePassword', 'Console password', 'text', 'needed for a console'],
  ['consoleHostKey', 'Console SSH host key', 'text', 'ssh-ed25519 AAAA…'],
  ['macs', 'MAC addresses', 'list', '3c:ec:ef:00:00:01'],
  ['address', 'Address', 'text', '192.0.2.11/24'],
  ['gateway', 'Gateway', 'text', '192.0.2.1'],
  ['nameservers', 'DNS servers', 'list', '192.0.2.53'],
  ['region', 'Region', 'text', 'oslo-1'],
  ['rack', 'Rack', 'text', 'A1'],
  ['position', 'Lowest rack unit', 'number', '10'],
  ['height', 'Rack units', 'number', '8'],
  ['hourlyPrice', 'Price per hour (USD)', 'number', '12.50'],
  ['gpuType', 'GPU type', 'text', 'NVIDIA H100'],
  ['gpuCount', 'Number of GPUs', 'number', '8'],
  ['gpuMemoryGb', 'GPU memory (GB)', 'number', '80'],
];

/** Adds one of the operator's own servers. */
export function MachineDialog({ onClose }: { onClose: () => void }) {
  const create = useSend('post', '/api/v1/operator/machines');
  const [texts, setTexts] = useState<Partial<Record<keyof Fields, string>>>({});
  const errors = fieldErrors(create.error);
  // Fields are found by how they begin: nameservers begins as name does.
  const errorOf = (name: string) => {
    const message = errors.at(name);
    const longer = fields.some(([other]) => other !== name && other.startsWith(name) && errors.at(other) === message);
    return longer ? undefined : message;
  };
  const submit = () => {
    const body: Record<string, unknown> = {};
    for (const [name, , kind] of fields) {
      const text = name.endsWith('Password') ? (texts[name] ?? '') : (texts[name] ?? '').trim();
      if (text === '') continue;
      body[name] = kind === 'number' ? Number(text) : kind === 'list' ? text.split(/[\s,]+/) : text;
    }
    create.mutate(
      { body: body as Fields },
      {
        onSuccess: (m) => {
          toast(`${m.name} added. Inspect it to have it for sale.`);
          onClose();
        },
      },
    );
  };
  const wrongNumber = fields.some(
    ([name, , kind]) => kind === 'number' && Number.isNaN(Number((texts[name] ?? '0').trim())),
  );
  return (
    <FormDialog
      title="Add machine"
      submit="Add machine"
      size="lg"
      busy={create.isPending}
      disabled={wrongNumber}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <div className="price-fields">
        {fields.map(([name, label, kind, example]) => {
          const Input = name.endsWith('Password') ? PasswordInput : TextInput;
          return (
            <Input
              key={name}
              label={label}
              placeholder={example}
              value={texts[name] ?? ''}
              onChange={(e) => {
                const text = e.currentTarget.value;
                setTexts((old) => ({ ...old, [name]: text }));
              }}
              inputMode={kind === 'number' ? 'decimal' : undefined}
              error={errorOf(name)}
              autoComplete="off"
            />
          );
        })}
      </div>
    </FormDialog>
  );
}
