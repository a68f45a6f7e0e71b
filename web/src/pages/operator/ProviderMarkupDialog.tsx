import { TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useSend, withId } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { formatPercent } from '../../parts/locale';
import { toast } from '../../parts/toast';
import { parsePercent } from './MarkupDialog';

/** Sets the markup on a provider's prices. */
export function ProviderMarkupDialog({ of: p, onClose }: { of: Schema['OperatorProvider']; onClose: () => void }) {
  const update = useSend('patch', '/api/v1/operator/provider-accounts/{id}');
  const [text, setText] = useState(p.markupPercent ? String(p.markupPercent) : '');
  const percent = parsePercent(text);
  const submit = () => {
    if (percent === undefined) return;
    const markupPercent = percent ?? 0;
    update.mutate(
      { ...withId(p.slug), body: { markupPercent } },
      {
        onSuccess: () => {
          toast(`Markup of ${p.name}: ${formatPercent(markupPercent)}`);
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title={`Markup of ${p.name}`}
      submit="Save markup"
      disabled={percent === undefined}
      busy={update.isPending}
      error={update.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Markup (%)"
        description="Added to the provider's prices within seconds. Existing deployments keep their price."
        inputMode="decimal"
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        error={percent === undefined ? 'Enter 0 to 1000 with at most two decimals.' : undefined}
        data-autofocus
      />
    </FormDialog>
  );
}
