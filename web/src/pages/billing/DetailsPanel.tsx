import { Button, TextInput } from '@mantine/core';
import { useState } from 'react';
import { type BillingDetails, useBillingDetails } from '../../api/billing';
import { fieldErrors, useSend } from '../../api/hooks';
import { useIdempotencyKey } from '../../api/idempotency';
import { Facts } from '../../parts/Facts';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { Panel } from '../../parts/Panel';
import { toast } from '../../parts/toast';

interface Field {
  name: keyof BillingDetails;
  label: string;
  description?: string;
}

const fields: Field[] = [
  { name: 'name', label: 'Company or name' },
  { name: 'addressLine1', label: 'Street and number' },
  { name: 'addressLine2', label: 'Address, continued' },
  { name: 'postalCode', label: 'Postal code' },
  { name: 'city', label: 'City' },
  { name: 'state', label: 'State or province' },
  { name: 'country', label: 'Country', description: 'Two-letter code, such as DE or US.' },
  { name: 'vatId', label: 'VAT ID', description: 'Or another tax number outside the EU.' },
  { name: 'email', label: 'Billing email' },
  { name: 'purchaseOrder', label: 'Purchase order', description: 'Repeated on each invoice.' },
];

/** The buyer on the account's invoices. */
export function DetailsPanel({ write }: { write: boolean }) {
  const details = useBillingDetails();
  const [editing, setEditing] = useState(false);
  return (
    <Panel
      title="Billing details"
      actions={
        write &&
        details.data && (
          <Button size="compact-sm" variant="default" onClick={() => setEditing(true)}>
            Edit
          </Button>
        )
      }
    >
      <Loaded query={details}>
        {(d) =>
          fields.some((f) => d[f.name]) ? (
            <Facts items={fields.map((f) => [f.label, d[f.name] || undefined])} />
          ) : (
            <div className="dim">None. Invoices name the account only.</div>
          )
        }
      </Loaded>
      {editing && details.data && <DetailsDialog now={details.data} onClose={() => setEditing(false)} />}
    </Panel>
  );
}

function DetailsDialog({ now, onClose }: { now: BillingDetails; onClose: () => void }) {
  const set = useSend('put', '/api/v1/inventory/wallet/billing-details');
  const keyFor = useIdempotencyKey();
  const [draft, setDraft] = useState<BillingDetails>(now);
  const errors = fieldErrors(set.error);
  const submit = () => {
    const body = Object.fromEntries(fields.map((f) => [f.name, draft[f.name]?.trim() ?? ''])) as BillingDetails;
    body.country = body.country.toUpperCase();
    set.mutate(
      { params: { header: { 'Idempotency-Key': keyFor(body, set.error) } }, body },
      {
        onSuccess: () => {
          toast('Billing details saved');
          onClose();
        },
      },
    );
  };
  return (
    <FormDialog
      title="Billing details"
      submit="Save"
      busy={set.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      {fields.map((f) => (
        <TextInput
          key={f.name}
          label={f.label}
          description={f.description}
          value={draft[f.name] ?? ''}
          onChange={(e) => setDraft({ ...draft, [f.name]: e.currentTarget.value })}
          error={errors.at(f.name)}
        />
      ))}
    </FormDialog>
  );
}
