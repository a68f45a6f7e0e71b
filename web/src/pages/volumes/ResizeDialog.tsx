import { NumberInput } from '@mantine/core';
import { useState } from 'react';
import { useSend, withId } from '../../api/hooks';
import { type Volume, volumePath } from '../../api/volumes';
import { Facts } from '../../parts/Facts';
import { FormDialog } from '../../parts/FormDialog';
import { Money } from '../../parts/Money';
import { micro, times } from '../../parts/money';
import { size } from '../offers/cells';

export function ResizeDialog({ of: v, onClose }: { of: Volume; onClose: () => void }) {
  const [gb, setGb] = useState<number | string>(v.sizeGb * 2);
  const update = useSend('patch', volumePath);
  const sizeGb = typeof gb === 'number' && gb > v.sizeGb ? gb : null;
  return (
    <FormDialog
      title={`Resize ${v.name}`}
      submit="Resize"
      disabled={sizeGb === null}
      busy={update.isPending}
      error={update.error}
      onSubmit={() => sizeGb !== null && update.mutate({ ...withId(v.id), body: { sizeGb } }, { onSuccess: onClose })}
      onClose={onClose}
    >
      <NumberInput
        label="New size"
        description={`Currently ${size(v.sizeGb)}. Volumes can grow but not shrink.`}
        suffix=" GB"
        min={v.sizeGb + 1}
        allowDecimal={false}
        thousandSeparator=","
        value={gb}
        onChange={setGb}
        data-autofocus
      />
      {sizeGb !== null && (
        <Facts
          items={[
            ['Current price', <Money key="now" usd={v.hourlyPrice} per="/hr" />],
            ['New price', <Money key="new" amount={times(micro(v.hourlyPricePerGb), sizeGb)} per="/hr" />],
          ]}
        />
      )}
    </FormDialog>
  );
}
