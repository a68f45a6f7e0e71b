import { Button, Checkbox, Group, Modal, SegmentedControl, Select, TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { type APIKey, type NewAPIKey, type Scope, useCreateApiKey, useUpdateApiKey } from '../../api/apiKeys';
import { ApiError } from '../../api/client';
import { serverNow } from '../../api/clock';
import { ErrorBox } from '../../parts/ErrorBox';
import { localTime } from '../../parts/time';
import { toast } from '../../parts/toast';
import { allScopes, presets } from './scopes';

interface Props {
  /** The key to change; null to make one. */
  of: APIKey | null;
  onClose: () => void;
  onMade: (key: NewAPIKey) => void;
}

// What a key may spend, as the API names it.
const limits = [
  ['maxHourlyPrice', 'An hour of a deployment', '$'],
  ['maxSpendPerDay', 'A day, all together', '$'],
  ['maxSpendPerMonth', 'A month, all together', '$'],
  ['maxDeployments', 'Deployments at a time', ''],
] as const;
type Limit = (typeof limits)[number][0];

const expiries: [string, number][] = [
  ['7 days', 7],
  ['30 days', 30],
  ['90 days', 90],
  ['1 year', 365],
];

export function KeyDialog({ of: k, onClose, onMade }: Props) {
  const [name, setName] = useState(k?.name ?? '');
  const [scopes, setScopes] = useState<Scope[]>(allScopes.filter((s) => !k || k.scopes.includes(s)));
  const [expiry, setExpiry] = useState(k ? 'keep' : 'never');
  const [networks, setNetworks] = useState<string[]>(k?.allowedNetworks ?? []);
  const [spending, setSpending] = useState<Partial<Record<Limit, string>>>(() =>
    Object.fromEntries(limits.flatMap(([l]) => (k?.spending?.[l] == null ? [] : [[l, String(k.spending[l])]]))),
  );
  const create = useCreateApiKey();
  const update = useUpdateApiKey(k?.id ?? '');
  const busy = create.isPending || update.isPending;
  const thrown = create.error ?? update.error;
  const error = thrown instanceof ApiError ? thrown : null;
  const fault = (field: string) => error?.fields.find((f) => f.field.startsWith(field))?.message;
  const chosen = presets.find((p) => p.scopes.length === scopes.length && p.scopes.every((s) => scopes.includes(s)));

  const expiresAt = () => new Date(serverNow() + Number(expiry) * 86_400_000).toISOString();
  const submit = () => {
    const bounds = {
      ...(k?.spending?.gpuTypes.length && { gpuTypes: k.spending.gpuTypes }),
      ...Object.fromEntries(limits.flatMap(([l]) => (spending[l]?.trim() ? [[l, Number(spending[l])]] : []))),
    };
    const body = {
      name: name.trim(),
      scopes,
      allowedNetworks: networks,
      ...((k?.spending || Object.keys(bounds).length > 0) && { spending: bounds }),
    };
    if (!k)
      return create.mutate({ ...body, ...(expiry !== 'never' && { expiresAt: expiresAt() }) }, { onSuccess: onMade });
    const when = expiry === 'keep' ? {} : { expiresAt: expiry === 'never' ? null : expiresAt() };
    update.mutate(
      { ...body, ...when },
      {
        onSuccess: () => {
          toast('Saved');
          onClose();
        },
      },
    );
  };

  return (
    <Modal opened onClose={onClose} title={k ? `Change ${k.name}` : 'Create a key'} size="lg">
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (!busy) submit();
        }}
      >
        <TextInput
          label="Name"
          description="What will use it"
          placeholder="ci, laptop…"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          error={fault('name')}
          maxLength={64}
          required
          data-autofocus
          autoComplete="off"
        />
        <div>
          <div className="field-label" id="may">
            May
          </div>
          <SegmentedControl
            aria-labelledby="may"
            className="presets"
            value={chosen?.name ?? ''}
            onChange={(n) => setScopes(presets.find((p) => p.name === n)?.scopes ?? scopes)}
            data={presets.map((p) => p.name)}
          />
          <div className="small dim" style={{ marginTop: 4 }}>
            {chosen?.text ?? 'A choice of your own'}
          </div>
          <Checkbox.Group
            value={scopes}
            onChange={(v) => setScopes(v as Scope[])}
            error={fault('scopes')}
            aria-label="Scopes"
            mt="xs"
          >
            <div className="scope-grid">
              {allScopes.map((s) => (
                <Checkbox key={s} value={s} label={s} size="xs" />
              ))}
            </div>
          </Checkbox.Group>
        </div>
        <Select
          label="Expires"
          data={[
            ...(k
              ? [{ value: 'keep', label: k.expiresAt ? `As it is: ${localTime(k.expiresAt)}` : 'As it is: never' }]
              : []),
            { value: 'never', label: 'Never' },
            ...expiries.map(([label, days]) => ({ value: String(days), label: `In ${label}` })),
          ]}
          value={expiry}
          onChange={(v) => v && setExpiry(v)}
          allowDeselect={false}
          error={fault('expiresAt')}
        />
        <TagsInput
          label="Allowed networks"
          description="Addresses or networks such as 203.0.113.0/24; from anywhere where there are none"
          placeholder={networks.length ? undefined : '203.0.113.7'}
          value={networks}
          onChange={setNetworks}
          maxTags={32}
          error={fault('allowedNetworks')}
          clearable
          clearButtonProps={{ 'aria-label': 'Clear the networks' }}
        />
        <details open={k?.spending != null}>
          <summary>Spending limits</summary>
          <div className="small dim" style={{ margin: '6px 0' }}>
            For keys of programs that decide for themselves. What is begun counts until its planned end, and without one
            for ever: with a limit of a day, such a program gives each deploy an end.
          </div>
          <div className="scope-grid">
            {limits.map(([l, label, unit]) => (
              <TextInput
                key={l}
                label={label}
                placeholder="no limit"
                inputMode="decimal"
                leftSection={unit || undefined}
                value={spending[l] ?? ''}
                onChange={(e) => {
                  const value = e.currentTarget.value;
                  if (/^\d*([.]\d*)?$/.test(value)) setSpending((old) => ({ ...old, [l]: value }));
                }}
                error={fault(`spending.${l}`)}
              />
            ))}
          </div>
        </details>
        {thrown && (error?.fields.length ?? 0) === 0 && <ErrorBox error={thrown} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy} disabled={!name.trim() || scopes.length === 0}>
            {k ? 'Save' : 'Create key'}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
