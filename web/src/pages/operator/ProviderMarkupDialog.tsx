import { TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useSend, withId } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { formatPercent } from '../../parts/locale';
import { toast } from '../../parts/toast';
import { parsePercent } from './MarkupDialog';

/** Sets the markup on a provider's prices; empty for the server's. */
export function ProviderMarkupDialog({ of: p, onClose }: { of: Schema['OperatorProvider']; onClose: () => void }) {
  const update = useSend('patch', '/api/v1/operator/provider-accounts/{id}');
  const [text, setText] = useState(p.ownMarkupPercent === null ? '' : String(p.ownMarkupPercent));
  const percent = parsePercent(text);
  const submit = () => {
    if (percent === undefined) return;
    update.mutate(
      { ...withId(p.slug), body: { markupPercent: percent } },
      {
        onSuccess: () => {
          toast(`Markup of ${p.name}: ${percent === null ? 'default' : formatPercent(percent)}`);
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title={`Markup of ${p.name}`}
      submit="Save markup"
      disabled={percent === undefined || percent === p.ownMarkupPercent}
      busy={update.isPending}
      error={update.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Markup (%)"
        description="Leave empty for the default. Prices change within seconds. Existing deployments keep theirs."
        inputMode="decimal"
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        error={percent === undefined ? 'Enter 0 to 1000 with at most two decimals.' : undefined}
        data-autofocus
      />
    </FormDialog>
  );
}
