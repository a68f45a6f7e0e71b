import { Checkbox, SegmentedControl, Select, TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { APIKey, Scope } from '../../api/apiKeys';
import { ApiError } from '../../api/client';
import { serverNow } from '../../api/clock';
import { localTime } from '../../parts/time';
import { allScopes, presets } from './scopes';

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

export type KeyForm = ReturnType<typeof useKeyForm>;

/** What a key shall be, while somebody fills it in: begins as the key is, or as is proposed for one that is not there yet. */
export function useKeyForm(k: APIKey | null, proposed: { name?: string; scopes?: readonly Scope[] } = {}) {
  const [name, setName] = useState(k?.name ?? proposed.name ?? '');
  const first: readonly string[] = k?.scopes ?? proposed.scopes ?? allScopes;
  const [scopes, setScopes] = useState<Scope[]>(allScopes.filter((s) => first.includes(s)));
  const [expiry, setExpiry] = useState(k ? 'keep' : 'never');
  const [networks, setNetworks] = useState<string[]>(k?.allowedNetworks ?? []);
  const [spending, setSpending] = useState<Partial<Record<Limit, string>>>(() =>
    Object.fromEntries(
      limits.flatMap(([l]) => (k?.spendingLimits?.[l] == null ? [] : [[l, String(k.spendingLimits[l])]])),
    ),
  );
  const expiresAt = () => new Date(serverNow() + Number(expiry) * 86_400_000).toISOString();
  const settings = () => {
    const bounds = {
      ...(k?.spendingLimits?.gpuTypes.length && { gpuTypes: k.spendingLimits.gpuTypes }),
      ...Object.fromEntries(limits.flatMap(([l]) => (spending[l]?.trim() ? [[l, Number(spending[l])]] : []))),
    };
    return {
      name: name.trim(),
      scopes,
      allowedNetworks: networks,
      ...((k?.spendingLimits || Object.keys(bounds).length > 0) && { spendingLimits: bounds }),
    };
  };
  return {
    of: k,
    ready: name.trim() !== '' && scopes.length > 0,
    /** The body of a call that makes the key. */
    made: () => ({ ...settings(), ...(expiry !== 'never' && { expiresAt: expiresAt() }) }),
    /** The body of a call that changes it. */
    changes: () => ({
      ...settings(),
      ...(expiry !== 'keep' && { expiresAt: expiry === 'never' ? null : expiresAt() }),
    }),
    name,
    setName,
    scopes,
    setScopes,
    expiry,
    setExpiry,
    networks,
    setNetworks,
    spending,
    setSpending,
  };
}

/** The fields of a key, with what the API found wrong in them. */
export function KeyFields({ form: f, error }: { form: KeyForm; error: unknown }) {
  const k = f.of;
  const fields = error instanceof ApiError ? error.fields : [];
  const fault = (field: string) => fields.find((x) => x.field.startsWith(field))?.message;
  const chosen = presets.find(
    (p) => p.scopes.length === f.scopes.length && p.scopes.every((s) => f.scopes.includes(s)),
  );
  return (
    <>
      <TextInput
        label="Name"
        description="What will use it"
        placeholder="ci, laptop…"
        value={f.name}
        onChange={(e) => f.setName(e.currentTarget.value)}
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
          onChange={(n) => f.setScopes(presets.find((p) => p.name === n)?.scopes ?? f.scopes)}
          data={presets.map((p) => p.name)}
        />
        <div className="small dim" style={{ marginTop: 4 }}>
          {chosen?.text ?? 'A choice of your own'}
        </div>
        <Checkbox.Group
          value={f.scopes}
          onChange={(v) => f.setScopes(v as Scope[])}
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
        value={f.expiry}
        onChange={(v) => v && f.setExpiry(v)}
        allowDeselect={false}
        error={fault('expiresAt')}
      />
      <TagsInput
        label="Allowed networks"
        description="Addresses or networks such as 203.0.113.0/24; from anywhere where there are none"
        placeholder={f.networks.length ? undefined : '203.0.113.7'}
        value={f.networks}
        onChange={f.setNetworks}
        maxTags={32}
        error={fault('allowedNetworks')}
        clearable
        clearButtonProps={{ 'aria-label': 'Clear the networks' }}
      />
      <details open={k?.spendingLimits != null}>
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
              value={f.spending[l] ?? ''}
              onChange={(e) => {
                const value = e.currentTarget.value;
                if (/^\d*([.]\d*)?$/.test(value)) f.setSpending((old) => ({ ...old, [l]: value }));
              }}
              error={fault(`spendingLimits.${l}`)}
            />
          ))}
        </div>
      </details>
    </>
  );
}
