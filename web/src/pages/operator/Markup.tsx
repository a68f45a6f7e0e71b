import { Button, Group, Modal, TextInput } from '@mantine/core';
import { useState } from 'react';
import { type OperatorAccount, useSetMarkup } from '../../api/operator';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatPercent } from '../../parts/locale';
import { toast } from '../../parts/toast';

/** What an account pays above the providers' own prices; empty for what the others pay. */
export function Markup({ of: a, onClose }: { of: OperatorAccount; onClose: () => void }) {
  const set = useSetMarkup(a.id);
  const [text, setText] = useState(a.markupPercent === null ? '' : String(a.markupPercent));
  const typed = text.trim();
  const percent =
    typed === '' ? null : /^\d{1,4}([.]\d{1,2})?$/.test(typed) && Number(typed) <= 1000 ? Number(typed) : undefined;
  return (
    <Modal opened onClose={onClose} title={`Markup of ${a.name}`}>
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (percent === undefined || set.isPending) return;
          set.mutate(percent, {
            onSuccess: () => {
              toast(
                percent === null
                  ? `${a.name} pays what others do`
                  : `${a.name} pays ${formatPercent(percent)} above cost`,
              );
              onClose();
            },
          });
        }}
      >
        <TextInput
          label="Per cent above the providers' prices"
          description="Empty for the usual markup. What runs keeps its price."
          inputMode="decimal"
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          error={percent === undefined ? 'From 0 to 1000, with at most two decimals.' : undefined}
          data-autofocus
        />
        <ErrorBox error={set.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={set.isPending} disabled={percent === undefined || percent === a.markupPercent}>
            Save
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
