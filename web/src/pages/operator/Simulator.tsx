import { Button, Group, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useNow } from '../../api/clock';
import { useGet, useSend } from '../../api/hooks';
import { useAdvanceClock, useClearFaults, useOperatorProviders } from '../../api/operator';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatPercent } from '../../parts/locale';
import { Panel } from '../../parts/Panel';
import { bothTimes, localTime } from '../../parts/time';
import { toast } from '../../parts/toast';

const steps: [string, number][] = [
  ['26 min', 26 * 60],
  ['1 h', 3600],
  ['6 h', 6 * 3600],
  ['1 day', 86_400],
  ['7 days', 7 * 86_400],
];

/** Advances the clock and injects faults. */
export function Simulator() {
  return (
    <div className="split">
      <Clock />
      <Faults />
    </div>
  );
}

function Clock() {
  const now = useNow(1000);
  const advance = useAdvanceClock();
  return (
    <Panel title="Clock">
      <div>
        <div className="clock" title={bothTimes(now)}>
          {localTime(now, true)}
        </div>
        <div className="small dim">Server time. It can only be advanced.</div>
      </div>
      <Group gap="xs">
        {steps.map(([label, seconds]) => (
          <Button
            key={label}
            variant="default"
            loading={advance.isPending && advance.variables === seconds}
            disabled={advance.isPending}
            onClick={() => advance.mutate(seconds, { onSuccess: () => toast(`Clock advanced by ${label}`) })}
          >
            + {label}
          </Button>
        ))}
      </Group>
      <ErrorBox error={advance.error} />
    </Panel>
  );
}

function Faults() {
  const faults = useGet('/api/v1/operator/simulator/faults', undefined, { refetchInterval: 10_000 });
  const clear = useClearFaults();
  const rows = (faults.data?.faults ?? []).filter((f) => !f.over);
  return (
    <Panel
      title="Faults"
      actions={
        rows.length > 0 && (
          <Button size="compact-sm" variant="default" loading={clear.isPending} onClick={() => clear.mutate(undefined)}>
            Clear all
          </Button>
        )
      }
    >
      {rows.map((f) => (
        <div key={f.id} className="card-row">
          <span style={{ minWidth: 0 }}>
            <span className="cell-main strong">{f.kind}</span>
            <span className="cell-sub">
              {[
                f.provider || 'all providers',
                f.operation,
                f.offer,
                f.value,
                f.seconds && `${f.seconds} s`,
                f.percent > 0 && formatPercent(f.percent),
              ]
                .filter(Boolean)
                .join(' · ')}{' '}
              · injected {f.injected}
              {f.count > 0 ? ` of ${f.count}` : ''}
            </span>
          </span>
          <Button
            size="compact-sm"
            variant="subtle"
            color="gray"
            onClick={() => clear.mutate(f.id)}
            aria-label={`Clear ${f.kind} ${f.id}`}
          >
            Clear
          </Button>
        </div>
      ))}
      {faults.data && rows.length === 0 && <span className="dim">No active faults.</span>}
      <ErrorBox error={faults.error ?? clear.error} />
      {faults.data && <InjectFault kinds={faults.data.kinds} />}
    </Panel>
  );
}

type Name = 'operation' | 'offer' | 'percent' | 'count' | 'seconds' | 'value' | 'forSeconds';

const fields: { name: Name; label: string; hint: string; number?: boolean }[] = [
  { name: 'operation', label: 'Operation', hint: 'All' },
  { name: 'offer', label: 'Offer', hint: 'All' },
  { name: 'value', label: 'Value', hint: '' },
  { name: 'seconds', label: 'Seconds', hint: '5 or 1-5' },
  { name: 'percent', label: 'Percent', hint: '100', number: true },
  { name: 'count', label: 'Times', hint: 'Unlimited', number: true },
  { name: 'forSeconds', label: 'Duration (s)', hint: 'Until cleared', number: true },
];

/** A form with the fields of the chosen kind. */
function InjectFault({ kinds }: { kinds: Schema['SimulatorFaultKind'][] }) {
  const providers = useOperatorProviders().data ?? [];
  const add = useSend('post', '/api/v1/operator/simulator/faults');
  const [kind, setKind] = useState<string | null>(null);
  const [provider, setProvider] = useState<string | null>(null);
  const [texts, setTexts] = useState<Partial<Record<Name, string>>>({});
  const chosen = kinds.find((k) => k.kind === kind);
  const taken = fields.filter((f) => chosen?.takes.includes(f.name) || (chosen && f.name === 'forSeconds'));
  const submit = () => {
    if (!chosen) return;
    const body: Record<string, unknown> = { kind: chosen.kind, ...(provider && { provider }) };
    for (const f of taken) {
      const text = texts[f.name]?.trim();
      if (text) body[f.name] = f.number ? Number(text) : text;
    }
    add.mutate(
      { body: body as Schema['AddSimulatorFault'] },
      {
        onSuccess: () => {
          setKind(null);
          setTexts({});
        },
      },
    );
  };
  return (
    <form
      className="stack"
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <div className="fault-form">
        <Select
          label="Kind"
          placeholder="Choose"
          data={kinds.map((k) => k.kind)}
          value={kind}
          onChange={setKind}
          searchable
          renderOption={({ option }) => (
            <span>
              {option.value}
              <span className="cell-sub wrap">{kinds.find((k) => k.kind === option.value)?.effect}</span>
            </span>
          )}
          comboboxProps={{ width: 340, position: 'bottom-start' }}
        />
        <Select
          label="Provider"
          placeholder="All providers"
          data={providers.map((p) => ({ value: p.slug, label: p.name }))}
          value={provider}
          onChange={setProvider}
          clearable
        />
        {taken.map((f) => (
          <TextInput
            key={f.name}
            label={f.label}
            placeholder={f.hint}
            inputMode={f.number ? 'numeric' : 'text'}
            value={texts[f.name] ?? ''}
            onChange={(e) => setTexts({ ...texts, [f.name]: e.currentTarget.value })}
          />
        ))}
      </div>
      {chosen && <div className="small dim">{chosen.effect}</div>}
      <ErrorBox error={add.error} />
      <div>
        <Button type="submit" variant="default" disabled={!chosen} loading={add.isPending}>
          Inject fault
        </Button>
      </div>
    </form>
  );
}
