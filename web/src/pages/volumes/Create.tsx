import { Button, Group, Modal, NumberInput, Select, TextInput } from '@mantine/core';
import { useRef, useState } from 'react';
import { ApiError } from '../../api/client';
import { useCreateVolume, useVolumePricing } from '../../api/volumes';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { Money } from '../../parts/Money';
import { micro, times } from '../../parts/money';
import { toast } from '../../parts/toast';
import { size } from '../offers/cells';

/** `at` is "provider/region" where the way here began at a machine. */
export function CreateVolume({ at, onClose }: { at: string; onClose: () => void }) {
  const pricing = useVolumePricing();
  const create = useCreateVolume();
  const [name, setName] = useState('');
  const [gb, setGb] = useState<number | string>(500);
  const [place, setPlace] = useState<string | null>(at.includes('/') ? at : null);
  const intent = useRef({ body: '', once: '' });
  const prices = pricing.data ?? [];
  const price = prices.find((p) => `${p.provider}/${p.region}` === place);
  const error = create.error instanceof ApiError ? create.error : null;
  const fault = (...fields: string[]) => error?.fields.find((f) => fields.includes(f.field))?.message;
  const amount = price && typeof gb === 'number' ? times(micro(price.hourlyPricePerGb), gb) : null;

  const submit = () => {
    if (!price || typeof gb !== 'number') return;
    const body = { name: name.trim(), sizeGb: gb, provider: price.provider, region: price.region };
    const same = JSON.stringify(body);
    if (intent.current.body !== same || (error && !error.outage))
      intent.current = { body: same, once: crypto.randomUUID() };
    create.mutate(
      { body, once: intent.current.once },
      {
        onSuccess: (v) => {
          toast(`${v.name} is being created`);
          onClose();
        },
      },
    );
  };

  return (
    <Modal opened onClose={onClose} title="Create a volume">
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (!create.isPending) submit();
        }}
      >
        <ErrorBox error={pricing.error} />
        <TextInput
          label="Name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          error={fault('name')}
          maxLength={64}
          required
          data-autofocus
          autoComplete="off"
        />
        <Select
          label="Region"
          description="It can be attached to machines there"
          placeholder="Choose"
          data={prices.map((p) => ({ value: `${p.provider}/${p.region}`, label: `${p.regionName}, ${p.provider}` }))}
          value={place}
          onChange={setPlace}
          error={fault('provider', 'region')}
          searchable
          required
        />
        <NumberInput
          label="Size"
          suffix=" GB"
          description={
            price
              ? `${size(price.minSizeGb)} to ${size(price.maxSizeGb)}; it can grow later, never shrink`
              : 'Decimal GB'
          }
          min={1}
          allowDecimal={false}
          thousandSeparator=","
          value={gb}
          onChange={setGb}
          error={fault('sizeGb')}
          required
        />
        {amount !== null && price && (
          <Facts
            items={[
              ['Price', <Money key="p" amount={amount} per="/h" />],
              ['In 30 days', <Money key="m" amount={times(amount, 720)} most={2} />],
              ['Per GB', <Money key="g" usd={price.hourlyPricePerGb} per="/h" />],
            ]}
          />
        )}
        {error && error.fields.length === 0 && <ErrorBox error={error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!price || !name.trim() || typeof gb !== 'number'}>
            Create
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
