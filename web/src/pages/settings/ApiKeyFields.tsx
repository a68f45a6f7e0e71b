import { Checkbox, SegmentedControl, Select, TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { serverNow } from '../../api/clock';
import { fieldErrors } from '../../api/hooks';
import { localTime } from '../../parts/time';
import { allScopes, keyScopes, presets, projectScopes, type Scope, scopes as scopeList } from './scopes';

type APIKey = Schema['APIKey'];

// The spending limits of a key, by their names in the API.
const limits = [
  ['maxHourlyPrice', 'Max price per hour', '$'],
  ['maxSpendPerDay', 'Daily limit', '$'],
  ['maxSpendPerMonth', 'Monthly limit', '$'],
  ['maxDeployments', 'Max concurrent deployments', ''],
] as const;
type Limit = (typeof limits)[number][0];

const expiries: [string, number][] = [
  ['7 days', 7],
  ['30 days', 30],
  ['90 days', 90],
  ['1 year', 365],
];

export type ApiKeyForm = ReturnType<typeof useApiKeyForm>;

/** The state of the form: begins with the key's settings, or with a proposal for a new key. */
export function useApiKeyForm(k: APIKey | null, proposed: { name?: string; scopes?: readonly Scope[] } = {}) {
  const [name, setName] = useState(k?.name ?? proposed.name ?? '');
  const first: readonly string[] = k?.scopes ?? proposed.scopes ?? allScopes;
  const [scopes, setScopes] = useState<Scope[]>(keyScopes.filter((s) => first.includes(s)));
  const [expiry, setExpiry] = useState(k ? 'keep' : 'never');
  const [project, setProject] = useState('');
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
    /** The body of the request that creates the key. */
    created: () => ({
      ...settings(),
      ...(project.trim() && { project: project.trim() }),
      ...(expiry !== 'never' && { expiresAt: expiresAt() }),
    }),
    /** The body of the request that updates it. */
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
    project,
    /** A key of a project has only scopes that are not about the whole account. */
    setProject: (text: string) => {
      setProject(text);
      if (text.trim()) setScopes((old) => old.filter((s) => projectScopes.includes(s)));
    },
    networks,
    setNetworks,
    spending,
    setSpending,
  };
}

/** The fields of a key, with the API's errors. */
export function ApiKeyFields({ form: f, error }: { form: ApiKeyForm; error: unknown }) {
  const k = f.of;
  const { at } = fieldErrors(error);
  const chosen = presets.find(
    (p) => p.scopes.length === f.scopes.length && p.scopes.every((s) => f.scopes.includes(s)),
  );
  return (
    <>
      <TextInput
        label="Name"
        placeholder="CI, laptop"
        value={f.name}
        onChange={(e) => f.setName(e.currentTarget.value)}
        error={at('name')}
        maxLength={64}
        required
        data-autofocus
        autoComplete="off"
      />
      <div>
        <div className="field-label" id="permissions">
          Permissions
        </div>
        <SegmentedControl
          aria-labelledby="permissions"
          className="presets"
          value={chosen?.name ?? ''}
          onChange={(n) => f.setScopes(presets.find((p) => p.name === n)?.scopes ?? f.scopes)}
          data={presets.map((p) => p.name)}
        />
        <div className="small dim" style={{ marginTop: 4 }}>
          {chosen?.text ?? 'Custom'}
        </div>
        <Checkbox.Group
          value={f.scopes}
          onChange={(v) => f.setScopes(v as Scope[])}
          error={at('scopes')}
          aria-label="Scopes"
          mt="xs"
        >
          <div className="scope-grid">
            {scopeList.map((s) => (
              <Checkbox key={s.value} value={s.value} label={s.value} title={s.text} size="xs" />
            ))}
          </div>
        </Checkbox.Group>
      </div>
      <Select
        label="Expires"
        data={[
          ...(k
            ? [{ value: 'keep', label: k.expiresAt ? `Unchanged: ${localTime(k.expiresAt)}` : 'Unchanged: never' }]
            : []),
          { value: 'never', label: 'Never' },
          ...expiries.map(([label, days]) => ({ value: String(days), label: `In ${label}` })),
        ]}
        value={f.expiry}
        onChange={(v) => v && f.setExpiry(v)}
        allowDeselect={false}
        error={at('expiresAt')}
      />
      {k ? (
        k.project && <div className="small dim">Bound to the project {k.project}.</div>
      ) : (
        <TextInput
          label="Project"
          description="The key can access only this project's resources. What it creates belongs to the project."
          placeholder="The whole account"
          value={f.project}
          onChange={(e) => f.setProject(e.currentTarget.value)}
          maxLength={64}
          error={at('project')}
          autoComplete="off"
        />
      )}
      <TagsInput
        label="IP allowlist"
        description="Addresses or CIDR networks. Leave empty to allow any."
        placeholder={f.networks.length ? undefined : '203.0.113.0/24'}
        value={f.networks}
        onChange={f.setNetworks}
        maxTags={32}
        error={at('allowedNetworks')}
        clearable
        clearButtonProps={{ 'aria-label': 'Clear IP allowlist' }}
      />
      <details open={k?.spendingLimits != null}>
        <summary>Spending limits</summary>
        <div className="small dim" style={{ margin: '6px 0' }}>
          Recommended for agents and automation. A running deployment counts toward the limit until its auto-terminate
          time, so set one on every deploy.
        </div>
        <div className="scope-grid">
          {limits.map(([l, label, unit]) => (
            <TextInput
              key={l}
              label={label}
              placeholder="No limit"
              inputMode="decimal"
              leftSection={unit || undefined}
              value={f.spending[l] ?? ''}
              onChange={(e) => {
                const value = e.currentTarget.value;
                if (/^\d*([.]\d*)?$/.test(value)) f.setSpending((old) => ({ ...old, [l]: value }));
              }}
              error={at(`spendingLimits.${l}`)}
            />
          ))}
        </div>
      </details>
    </>
  );
}
