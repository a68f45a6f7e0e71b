import { Autocomplete, SegmentedControl, Select, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useState } from 'react';
import { fieldErrors, useAll, useSend, withId } from '../../api/hooks';
import { type PriceRule, useOperatorAccounts, useOperatorProviders, usePriceRulePreview } from '../../api/operator';
import { FormDialog } from '../../parts/FormDialog';
import { dollars, parseMoney } from '../../parts/money';
import { toast } from '../../parts/toast';
import { PriceRulePreview } from './PriceRulePreview';
import './priceRules.css';

interface Props {
  /** The rule to change; null for a new one. */
  rule: PriceRule | null;
  /** How many rules there are. */
  count: number;
  onClose: () => void;
}

const amounts = ['percent', 'fixedPerGpu', 'floorPerGpu', 'roundUpTo'] as const;
type Amount = (typeof amounts)[number];

const labels: Record<Amount, string> = {
  percent: 'Percent added to the cost',
  fixedPerGpu: 'Amount added per GPU (USD/h)',
  floorPerGpu: 'Lowest price per GPU (USD/h)',
  roundUpTo: 'Round up to a multiple of (USD)',
};

/** The largest number of each field. The first two may be below zero. */
const most: Record<Amount, number> = { percent: 1000, fixedPerGpu: 1000, floorPerGpu: 1000, roundUpTo: 100 };
const least: Record<Amount, number> = { percent: -100, fixedPerGpu: -1000, floorPerGpu: 0, roundUpTo: 0 };

/** The typed number; 0 where nothing is typed, undefined where it is invalid. */
function parse(field: Amount, text: string): number | undefined {
  const typed = text.trim().replace('−', '-');
  if (typed === '') return 0;
  const negative = typed.startsWith('-');
  const amount = parseMoney(negative ? typed.slice(1) : typed);
  if (amount === null || (field === 'percent' && amount % 10_000 !== 0)) return undefined;
  const value = dollars(amount) * (negative ? -1 : 1);
  return value >= least[field] && value <= most[field] ? value : undefined;
}

/** Creates or changes a price rule, and shows what it does to the offers. */
export function PriceRuleDialog({ rule, count, onClose }: Props) {
  const create = useSend('post', '/api/v1/operator/price-rules');
  const update = useSend('patch', '/api/v1/operator/price-rules/{id}');
  const [provider, setProvider] = useState(rule?.provider ?? '');
  const [gpuType, setGpuType] = useState(rule?.gpuType ?? '');
  const [region, setRegion] = useState(rule?.region ?? '');
  const [accountId, setAccountId] = useState(rule?.accountId ?? null);
  const [position, setPosition] = useState(String(rule?.position ?? count + 1));
  const [kind, setKind] = useState(rule?.hidden ? 'hide' : 'price');
  const [texts, setTexts] = useState(
    () => Object.fromEntries(amounts.map((f) => [f, rule?.[f] ? String(rule[f]) : ''])) as Record<Amount, string>,
  );
  const providers = useOperatorProviders().data ?? [];
  const accounts = useOperatorAccounts().data ?? [];
  const gpuTypes = useAll('/api/v1/inventory/gpu-types').data ?? [];
  const regions = useAll('/api/v1/inventory/regions').data ?? [];

  const hidden = kind === 'hide';
  const parsed = Object.fromEntries(amounts.map((f) => [f, hidden ? 0 : parse(f, texts[f])])) as Record<
    Amount,
    number | undefined
  >;
  const place = /^\d{1,3}$/.test(position.trim()) && Number(position) >= 1 ? Number(position) : undefined;
  const valid = place !== undefined && amounts.every((f) => parsed[f] !== undefined);
  const body = {
    provider: provider.trim() || null,
    gpuType: gpuType.trim() || null,
    region: region.trim() || null,
    accountId,
    position: Math.min(place ?? 1, 200),
    percent: parsed.percent,
    fixedPerGpu: parsed.fixedPerGpu,
    floorPerGpu: parsed.floorPerGpu,
    roundUpTo: parsed.roundUpTo,
    hidden,
  };
  const [previewed] = useDebouncedValue(valid ? { ...body, ...(rule && { id: rule.id }) } : null, 300);
  const preview = usePriceRulePreview(previewed);
  const saving = rule ? update : create;
  const errors = fieldErrors(saving.error);
  const done = (text: string) => ({
    onSuccess: () => {
      toast(text);
      onClose();
    },
  });
  const submit = () => {
    if (rule) update.mutate({ ...withId(rule.id), body }, done('Price rule saved'));
    else create.mutate({ body }, done('Price rule created'));
  };
  return (
    <FormDialog
      title={rule ? `Edit price rule ${rule.position}` : 'Create a price rule'}
      submit={rule ? 'Save price rule' : 'Create price rule'}
      size="lg"
      disabled={!valid}
      busy={saving.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <div className="price-fields">
        <Autocomplete
          label="GPU type"
          placeholder="All GPU types"
          data={[...new Set(gpuTypes.map((g) => g.gpuType))]}
          value={gpuType}
          onChange={setGpuType}
          error={errors.at('gpuType')}
          data-autofocus
        />
        <Autocomplete
          label="Provider"
          placeholder="All providers"
          data={providers.map((p) => p.slug)}
          value={provider}
          onChange={setProvider}
          error={errors.at('provider')}
        />
        <Autocomplete
          label="Region"
          placeholder="All regions"
          data={[...new Set(regions.map((r) => r.slug))]}
          value={region}
          onChange={setRegion}
          error={errors.at('region')}
        />
        <Select
          label="Account"
          placeholder="All accounts"
          data={accounts.map((a) => ({ value: a.id, label: a.name }))}
          value={accountId}
          onChange={setAccountId}
          error={errors.at('accountId')}
          searchable
          clearable
        />
      </div>
      <TextInput
        label="Position"
        description="The first rule that matches decides"
        inputMode="numeric"
        value={position}
        onChange={(e) => setPosition(e.currentTarget.value)}
        error={place === undefined ? 'Enter a number of at least 1.' : errors.at('position')}
      />
      <SegmentedControl
        aria-label="What the rule does"
        value={kind}
        onChange={setKind}
        data={[
          { value: 'price', label: 'Set the price' },
          { value: 'hide', label: 'Hide the offers' },
        ]}
      />
      {hidden ? (
        <p className="dim small">Hidden offers are not listed and cannot be deployed. Existing deployments continue.</p>
      ) : (
        <div className="price-fields">
          {amounts.map((f) => (
            <TextInput
              key={f}
              label={labels[f]}
              inputMode="decimal"
              placeholder={f === 'roundUpTo' || f === 'floorPerGpu' ? 'None' : '0'}
              value={texts[f]}
              onChange={(e) => {
                const text = e.currentTarget.value;
                setTexts((old) => ({ ...old, [f]: text }));
              }}
              error={parsed[f] === undefined ? `Enter a number from ${least[f]} to ${most[f]}.` : errors.at(f)}
            />
          ))}
        </div>
      )}
      <PriceRulePreview preview={preview} />
    </FormDialog>
  );
}
