import { TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { fieldErrors, useGet, useSend, withId } from '../../api/hooks';
import type { OperatorAccount } from '../../api/operator';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { formatNumber } from '../../parts/locale';
import { dollars, formatMoney, micro, parseMoney } from '../../parts/money';
import { toast } from '../../parts/toast';

type Limits = Schema['QuotaLimits'];
type Name = keyof Limits;

const labels: Record<Name, string> = {
  machines: 'Machines',
  gpus: 'GPUs',
  hourlySpend: 'Hourly spend (USD)',
  volumes: 'Volumes',
  volumeGb: 'Size of all volumes (GB)',
};
const names = Object.keys(labels) as Name[];

/** Shows a limit or a use as the field's text does. */
function shown(name: Name, value: number): string {
  return name === 'hourlySpend' ? `${formatMoney(micro(value))}/h` : formatNumber(value);
}

/** The typed limit; null where nothing is typed, undefined where it is invalid. */
function parse(name: Name, text: string): number | null | undefined {
  const typed = text.trim();
  if (typed === '') return null;
  if (name === 'hourlySpend') {
    const amount = parseMoney(typed);
    return amount === null || amount < 0 ? undefined : dollars(amount);
  }
  return /^\d{1,12}$/.test(typed) ? Number(typed) : undefined;
}

interface FieldsProps {
  title: string;
  from: Limits;
  /** The description of a field. */
  about: (name: Name) => string;
  busy: boolean;
  error: unknown;
  save: (limits: Limits) => void;
  onClose: () => void;
}

function Fields({ title, from, about, busy, error, save, onClose }: FieldsProps) {
  const [texts, setTexts] = useState(
    () => Object.fromEntries(names.map((n) => [n, from[n] === null ? '' : String(from[n])])) as Record<Name, string>,
  );
  const limits = Object.fromEntries(names.map((n) => [n, parse(n, texts[n])])) as Record<
    Name,
    number | null | undefined
  >;
  const errors = fieldErrors(error);
  return (
    <FormDialog
      title={title}
      submit="Save quotas"
      disabled={names.some((n) => limits[n] === undefined)}
      busy={busy}
      error={errors.general}
      onSubmit={() => save(limits as Limits)}
      onClose={onClose}
    >
      {names.map((n) => (
        <TextInput
          key={n}
          label={labels[n]}
          description={about(n)}
          inputMode={n === 'hourlySpend' ? 'decimal' : 'numeric'}
          value={texts[n]}
          onChange={(e) => {
            const text = e.currentTarget.value;
            setTexts((old) => ({ ...old, [n]: text }));
          }}
          error={limits[n] === undefined ? 'Enter 0 or more, or leave the field empty.' : errors.at(n)}
        />
      ))}
    </FormDialog>
  );
}

/** How much an account may have at once. */
export function QuotasDialog({ of: a, onClose }: { of: OperatorAccount; onClose: () => void }) {
  const quotas = useGet('/api/v1/operator/accounts/{id}/quotas', withId(a.id));
  const set = useSend('put', '/api/v1/operator/accounts/{id}/quotas');
  return (
    <Loaded query={quotas}>
      {(q) => (
        <Fields
          title={`Quotas of ${a.name}`}
          from={q}
          about={(n) => {
            const standard = q.defaults[n];
            return `In use: ${shown(n, q.used[n])}. Default: ${standard === null ? 'no limit' : shown(n, standard)}.`;
          }}
          busy={set.isPending}
          error={set.error}
          save={(limits) =>
            set.mutate(
              { ...withId(a.id), body: pick(limits) },
              {
                onSuccess: () => {
                  toast(`Quotas of ${a.name} saved`);
                  onClose();
                },
              },
            )
          }
          onClose={onClose}
        />
      )}
    </Loaded>
  );
}

/** How much every account may have at once that has no quotas of its own. */
export function DefaultQuotasDialog({ onClose }: { onClose: () => void }) {
  const quotas = useGet('/api/v1/operator/quotas');
  const set = useSend('put', '/api/v1/operator/quotas');
  return (
    <Loaded query={quotas}>
      {(q) => (
        <Fields
          title="Default quotas"
          from={q}
          about={() => 'Leave empty for no limit.'}
          busy={set.isPending}
          error={set.error}
          save={(limits) =>
            set.mutate(
              { body: pick(limits) },
              {
                onSuccess: () => {
                  toast('Default quotas saved');
                  onClose();
                },
              },
            )
          }
          onClose={onClose}
        />
      )}
    </Loaded>
  );
}

function pick({ machines, gpus, hourlySpend, volumes, volumeGb }: Limits): Limits {
  return { machines, gpus, hourlySpend, volumes, volumeGb };
}
