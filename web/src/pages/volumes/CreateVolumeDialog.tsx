import { NumberInput, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useAll, useSend } from '../../api/hooks';
import { useIdempotencyKey } from '../../api/idempotency';
import { volumesPath } from '../../api/volumes';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { FormDialog } from '../../parts/FormDialog';
import { Money } from '../../parts/Money';
import { micro, times } from '../../parts/money';
import { toast } from '../../parts/toast';
import { size } from '../offers/cells';

/** `at` is "provider/region" where the user comes from a deployment. */
export function CreateVolumeDialog({ at: place, onClose }: { at: string; onClose: () => void }) {
  const pricing = useAll(`${volumesPath}/pricing`, {}, { staleTime: 60_000 });
  const create = useSend('post', volumesPath);
  const keyFor = useIdempotencyKey();
  const [name, setName] = useState('');
  const [gb, setGb] = useState<number | string>(500);
  const [region, setRegion] = useState<string | null>(place.includes('/') ? place : null);
  const prices = pricing.data ?? [];
  const price = prices.find((p) => `${p.provider}/${p.region}` === region);
  const { at, general } = fieldErrors(create.error);
  const amount = price && typeof gb === 'number' ? times(micro(price.hourlyPricePerGb), gb) : null;

  const submit = () => {
    if (!price || typeof gb !== 'number') return;
    const body = { name: name.trim(), sizeGb: gb, provider: price.provider, region: price.region };
    create.mutate(
      { params: { header: { 'Idempotency-Key': keyFor(body, create.error) } }, body },
      {
        onSuccess: (v) => {
          toast(`Creating ${v.name}`);
          onClose();
        },
      },
    );
  };

  return (
    <FormDialog
      title="Create volume"
      submit="Create volume"
      disabled={!price || !name.trim() || typeof gb !== 'number'}
      busy={create.isPending}
      error={general}
      onSubmit={submit}
      onClose={onClose}
    >
      <ErrorBox error={pricing.error} />
      <TextInput
        label="Name"
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        error={at('name')}
        maxLength={64}
        required
        data-autofocus
        autoComplete="off"
      />
      <Select
        label="Region"
        description="The volume can be attached to machines in this region."
        placeholder="Choose"
        data={prices.map((p) => ({ value: `${p.provider}/${p.region}`, label: `${p.regionName}, ${p.provider}` }))}
        value={region}
        onChange={setRegion}
        error={at('provider', 'region')}
        searchable
        required
      />
      <NumberInput
        label="Size"
        suffix=" GB"
        description={
          price
            ? `${size(price.minSizeGb)} to ${size(price.maxSizeGb)}. Volumes can grow but not shrink.`
            : 'Decimal GB'
        }
        min={1}
        allowDecimal={false}
        thousandSeparator=","
        value={gb}
        onChange={setGb}
        error={at('sizeGb')}
        required
      />
      {amount !== null && price && (
        <Facts
          items={[
            ['Price', <Money key="price" amount={amount} per="/hr" />],
            ['30 days', <Money key="month" amount={times(amount, 720)} />],
            ['Per GB', <Money key="gb" usd={price.hourlyPricePerGb} per="/hr" />],
          ]}
        />
      )}
    </FormDialog>
  );
}
