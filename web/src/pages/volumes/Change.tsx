import { Button, Group, Modal, NumberInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useUpdateVolume, type Volume } from '../../api/volumes';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { Money } from '../../parts/Money';
import { micro, times } from '../../parts/money';
import { size } from '../offers/cells';

export function Rename({ of: v, onClose }: { of: Volume; onClose: () => void }) {
  const [name, setName] = useState(v.name);
  const update = useUpdateVolume(v.id);
  return (
    <Modal opened onClose={onClose} title={`Rename ${v.name}`}>
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          update.mutate({ name: name.trim() }, { onSuccess: onClose });
        }}
      >
        <TextInput
          label="Name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          maxLength={64}
          required
          data-autofocus
        />
        <ErrorBox error={update.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={update.isPending}>
            Rename
          </Button>
        </Group>
      </form>
    </Modal>
  );
}

export function Grow({ of: v, onClose }: { of: Volume; onClose: () => void }) {
  const [gb, setGb] = useState<number | string>(v.sizeGb * 2);
  const update = useUpdateVolume(v.id);
  const ready = typeof gb === 'number' && gb > v.sizeGb;
  return (
    <Modal opened onClose={onClose} title={`Grow ${v.name}`}>
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (ready) update.mutate({ sizeGb: gb }, { onSuccess: onClose });
        }}
      >
        <NumberInput
          label="New size"
          description={`It has ${size(v.sizeGb)}; a volume never shrinks`}
          suffix=" GB"
          min={v.sizeGb + 1}
          allowDecimal={false}
          thousandSeparator=","
          value={gb}
          onChange={setGb}
          data-autofocus
        />
        {ready && (
          <Facts
            items={[
              ['Price now', <Money key="n" usd={v.hourlyPrice} per="/h" />],
              ['Price then', <Money key="t" amount={times(micro(v.hourlyPricePerGb), gb)} per="/h" />],
            ]}
          />
        )}
        <ErrorBox error={update.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={update.isPending} disabled={!ready}>
            Grow
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
