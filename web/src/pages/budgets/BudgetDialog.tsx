import { Autocomplete, Radio, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import { type Budget, type BudgetMode, type BudgetPeriod, budgetsPath } from '../../api/budgets';
import type { Schema } from '../../api/client';
import { serverNow } from '../../api/clock';
import { fieldErrors, useAll, useSend, withId } from '../../api/hooks';
import { useCan } from '../../api/session';
import { useUsage } from '../../api/wallet';
import { FormDialog } from '../../parts/FormDialog';
import { dollars, parseMoney } from '../../parts/money';
import { toast } from '../../parts/toast';
import { modes, periods } from './words';
import './budgets.css';

const kinds = { account: 'Whole account', project: 'Project', tag: 'Tag', apiKeyId: 'API key' };
type Kind = keyof typeof kinds;

function kindOf(b: Budget | null): Kind {
  const scope: Budget['scope'] = b?.scope ?? {};
  return scope.project ? 'project' : scope.tag ? 'tag' : scope.apiKeyId ? 'apiKeyId' : 'account';
}

/** The typed percentages; undefined where one is invalid. */
export function parseThresholds(text: string): number[] | undefined {
  const parts = text.split(/[\s,%]+/).filter(Boolean);
  const all = [...new Set(parts.map(Number))].sort((a, b) => a - b);
  return all.length <= 10 && all.every((n) => Number.isInteger(n) && n >= 1 && n <= 100) ? all : undefined;
}

/** Creates a budget, or changes one. */
export function BudgetDialog({ of: b, onClose }: { of: Budget | null; onClose: () => void }) {
  const create = useSend('post', budgetsPath);
  const update = useSend('patch', '/api/v1/inventory/budgets/{id}');
  const can = useCan();
  const [name, setName] = useState(b?.name ?? '');
  const [kind, setKind] = useState<Kind>(kindOf(b));
  const [value, setValue] = useState(b?.scope.project ?? b?.scope.tag ?? b?.scope.apiKeyId ?? '');
  const [amount, setAmount] = useState(b ? String(b.amount) : '');
  const [period, setPeriod] = useState<BudgetPeriod>(b?.period ?? 'month');
  const [thresholds, setThresholds] = useState((b?.thresholds ?? [50, 80, 100]).join(', '));
  const [mode, setMode] = useState<BudgetMode>(b?.mode ?? 'alert');
  const known = useKnown(kind);
  const keys = useAll('/api/v1/account/api-keys', {}, { enabled: can('api-keys:read') }).data ?? [];

  const parsed = parseMoney(amount);
  const percentages = parseThresholds(thresholds);
  const ready =
    name.trim() !== '' && parsed !== null && parsed > 0 && percentages && (kind === 'account' || value.trim());
  const saving = b ? update : create;
  const errors = fieldErrors(saving.error);
  const submit = () => {
    if (!ready || parsed === null || !percentages) return;
    const body: Schema['CreateBudget'] = {
      name: name.trim(),
      scope: kind === 'account' ? {} : { [kind]: value.trim() },
      amount: dollars(parsed),
      period,
      thresholds: percentages,
      mode,
    };
    const done = (text: string) => ({
      onSuccess: () => {
        toast(text);
        onClose();
      },
    });
    if (b) update.mutate({ ...withId(b.id), body }, done('Budget saved'));
    else create.mutate({ body }, done('Budget created'));
  };
  return (
    <FormDialog
      title={b ? `Edit budget ${b.name}` : 'Create budget'}
      submit={b ? 'Save budget' : 'Create budget'}
      disabled={!ready}
      busy={saving.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Name"
        placeholder="research"
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        error={errors.at('name')}
        maxLength={64}
        required
        data-autofocus
        autoComplete="off"
      />
      <div className="budget-fields">
        <Select
          label="Scope"
          data={Object.entries(kinds)
            .filter(([v]) => v !== 'apiKeyId' || can('api-keys:read'))
            .map(([v, label]) => ({ value: v, label }))}
          value={kind}
          onChange={(v) => {
            setKind((v ?? 'account') as Kind);
            setValue('');
          }}
          error={errors.at('scope')}
          allowDeselect={false}
        />
        {kind === 'apiKeyId' ? (
          <Select
            label="API key"
            data={keys.filter((k) => !k.revokedAt || k.id === value).map((k) => ({ value: k.id, label: k.name }))}
            value={value || null}
            onChange={(v) => setValue(v ?? '')}
            searchable
            required
          />
        ) : (
          kind !== 'account' && (
            <Autocomplete
              label={kinds[kind]}
              data={known}
              value={value}
              onChange={setValue}
              maxLength={64}
              autoComplete="off"
              required
            />
          )
        )}
      </div>
      <div className="budget-fields">
        <TextInput
          label="Amount (USD)"
          inputMode="decimal"
          leftSection="$"
          value={amount}
          onChange={(e) => setAmount(e.currentTarget.value)}
          error={amount.trim() && !(parsed && parsed > 0) ? 'Enter an amount of more than 0.' : errors.at('amount')}
          required
          autoComplete="off"
        />
        <Select
          label="Period"
          data={Object.entries(periods).map(([v, label]) => ({ value: v, label }))}
          value={period}
          onChange={(v) => setPeriod((v ?? 'month') as BudgetPeriod)}
          error={errors.at('period')}
          allowDeselect={false}
        />
      </div>
      <TextInput
        label="Alert thresholds (%)"
        description="Each is reported once per period, by email and as an event. Leave empty for none."
        value={thresholds}
        onChange={(e) => setThresholds(e.currentTarget.value)}
        error={
          percentages ? errors.at('thresholds') : 'Enter at most 10 whole numbers from 1 to 100, separated by commas.'
        }
        autoComplete="off"
      />
      <Radio.Group
        label="At the limit"
        value={mode}
        onChange={(v) => setMode(v as BudgetMode)}
        error={errors.at('mode')}
      >
        <div className="stack" style={{ gap: 8, marginTop: 4 }}>
          {Object.entries(modes).map(([v, m]) => (
            <Radio key={v} value={v} label={m.label} description={m.text} />
          ))}
        </div>
      </Radio.Group>
    </FormDialog>
  );
}

/** The projects or tags of the last 90 days. */
function useKnown(kind: Kind): string[] {
  const by = kind === 'tag' ? 'tag' : 'project';
  // The same text for a whole day, so that it is the same query.
  const from = new Date(Math.floor(serverNow() / 86_400_000) * 86_400_000 - 90 * 86_400_000).toISOString();
  const usage = useUsage({ groupBy: by, from }).data;
  return (usage?.groups ?? []).map((g) => g.key).filter(Boolean);
}
