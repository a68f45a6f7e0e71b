import { Button, Group, NumberInput, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useNow } from '../../api/clock';
import { useAddFault, useAdvance, useClearFaults, useOperatorProviders, useSimFaults } from '../../api/operator';
import { ErrorBox } from '../../parts/ErrorBox';
import { bothTimes, localTime } from '../../parts/time';
import { toast } from '../../parts/toast';

const steps: [string, number][] = [
  ['26 min', 26 * 60],
  ['1 h', 3600],
  ['6 h', 6 * 3600],
  ['1 day', 86_400],
  ['7 days', 7 * 86_400],
];

const kinds = [
  'lost-answer',
  'unavailable',
  'rate-limited',
  'garbage',
  'garbled',
  'slow',
  'rejected',
  'no-capacity',
  'scarcity',
  'price',
  'provisioning-time',
  'fail-provisioning',
  'no-ssh',
  'machine-lost',
  'refuse-terminate',
  'stale-list',
  'ghost',
];

/** Time travel, and providers that misbehave on command. */
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
  const advance = useAdvance();
  return (
    <section className="panel" aria-labelledby="clock">
      <div className="panel-head">
        <h2 id="clock">Clock</h2>
      </div>
      <div className="panel-body stack">
        <div>
          <div className="clock" title={bothTimes(now)}>
            {localTime(now, true)}
          </div>
          <div className="small dim">the server's time; it can be moved forward, never back</div>
        </div>
        <Group gap="xs">
          {steps.map(([label, seconds]) => (
            <Button
              key={label}
              variant="default"
              loading={advance.isPending && advance.variables === seconds}
              disabled={advance.isPending}
              onClick={() => advance.mutate(seconds, { onSuccess: () => toast(`${label} have passed`) })}
            >
              + {label}
            </Button>
          ))}
        </Group>
        <ErrorBox error={advance.error} />
      </div>
    </section>
  );
}

function Faults() {
  const faults = useSimFaults();
  const providers = useOperatorProviders().data ?? [];
  const add = useAddFault();
  const clear = useClearFaults();
  const [kind, setKind] = useState<string | null>(null);
  const [provider, setProvider] = useState<string | null>(null);
  const [count, setCount] = useState<number | string>('');
  const [percent, setPercent] = useState<number | string>('');
  const [value, setValue] = useState('');
  const rows = faults.data ?? [];
  return (
    <section className="panel" aria-labelledby="faults">
      <div className="panel-head">
        <h2 id="faults">Faults</h2>
        {rows.length > 0 && (
          <Button size="compact-sm" variant="default" loading={clear.isPending} onClick={() => clear.mutate(undefined)}>
            Clear all
          </Button>
        )}
      </div>
      <div className="panel-body stack">
        {rows.map((f) => (
          <div key={f.id} className="card-row">
            <span style={{ minWidth: 0 }}>
              <span className="cell-main strong">{f.kind}</span>
              <span className="cell-sub">
                {[
                  f.provider ?? 'everywhere',
                  f.operation,
                  f.value,
                  f.percent && `${f.percent} %`,
                  f.count && `${f.count} times`,
                ]
                  .filter(Boolean)
                  .join(' · ')}{' '}
                · struck {f.struck} of {f.asked}
              </span>
            </span>
            <Button
              size="compact-sm"
              variant="subtle"
              color="gray"
              onClick={() => clear.mutate(f.id)}
              aria-label={`Clear ${f.kind}`}
            >
              Clear
            </Button>
          </div>
        ))}
        {faults.data && rows.length === 0 && <span className="dim">Every provider behaves.</span>}
        <ErrorBox error={faults.error ?? clear.error} />
        <form
          className="stack"
          onSubmit={(e) => {
            e.preventDefault();
            if (!kind) return;
            add.mutate(
              {
                kind,
                ...(provider && { provider }),
                ...(typeof count === 'number' && { count }),
                ...(typeof percent === 'number' && { percent }),
                ...(value.trim() && { value: value.trim() }),
              },
              { onSuccess: () => setKind(null) },
            );
          }}
        >
          <div className="fault-form">
            <Select label="Kind" data={kinds} value={kind} onChange={setKind} searchable />
            <Select
              label="Provider"
              placeholder="Everywhere"
              data={providers.map((p) => ({ value: p.slug, label: p.name }))}
              value={provider}
              onChange={setProvider}
              clearable
            />
            <NumberInput label="Times" placeholder="No end" min={1} value={count} onChange={setCount} />
            <NumberInput label="Percent" placeholder="Always" min={1} max={100} value={percent} onChange={setPercent} />
            <TextInput
              label="Value"
              placeholder="+25%"
              value={value}
              onChange={(e) => setValue(e.currentTarget.value)}
            />
          </div>
          <ErrorBox error={add.error} />
          <div>
            <Button type="submit" variant="default" disabled={!kind} loading={add.isPending}>
              Add the fault
            </Button>
          </div>
        </form>
      </div>
    </section>
  );
}
