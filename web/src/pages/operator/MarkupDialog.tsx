import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { useSend, withId } from '../../api/hooks';
import type { OperatorAccount } from '../../api/operator';
import { FormDialog } from '../../parts/FormDialog';
import { formatPercent } from '../../parts/locale';
import { toast } from '../../parts/toast';

/** Sets an account's markup on the providers' prices; empty for the default. */
export function MarkupDialog({ of: a, onClose }: { of: OperatorAccount; onClose: () => void }) {
  const set = useSend('put', '/api/v1/operator/accounts/{id}/markup');
  const [text, setText] = useState(a.markupPercent === null ? '' : String(a.markupPercent));
  const percent = parsePercent(text);
  const submit = () => {
    if (percent === undefined) return;
    set.mutate(
      { ...withId(a.id), body: { percent } },
      {
        onSuccess: () => {
          toast(`Markup of ${a.name}: ${percent === null ? 'default' : formatPercent(percent)}`);
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title={`Markup of ${a.name}`}
      submit="Save markup"
      disabled={percent === undefined || percent === a.markupPercent}
      busy={set.isPending}
      error={set.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Markup (%)"
        description="Leave empty for the default. Existing deployments keep their price."
        inputMode="decimal"
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        error={percent === undefined ? 'Enter a number from 0 to 1000 with at most two decimals.' : undefined}
        data-autofocus
      />
    </FormDialog>
  );
}

/** The typed percentage; null where nothing is typed, undefined where it is invalid. */
export function parsePercent(text: string): number | null | undefined {
  const typed = text.trim();
  if (typed === '') return null;
  return /^\d{1,4}([.]\d{1,2})?$/.test(typed) && Number(typed) <= 1000 ? Number(typed) : undefined;
}
