import { PasswordInput, Radio, Stack, Textarea, TextInput } from '@mantine/core';
import { useEffect, useState } from 'react';
import type { Schema } from '../../../api/client';
import { type SettingsGroup, type Track, useSettings, useSettingsGroup } from '../../../api/settings';
import { dollars, parseMoney } from '../../../parts/money';
import { Chip } from '../../../parts/Status';
import { amountHint } from '../CreateAccountDialog';
import { GroupForm, TextSetting } from '../settings/GroupForm';
import { CheckPayments } from './CheckPayments';

const processors: Record<Schema['Payments']['processor'], [string, string]> = {
  none: ['Not at all', 'Only you add credit to accounts. A demo takes simulated payments.'],
  transfer: ['By bank transfer', 'You confirm each transfer when its money has arrived.'],
  stripe: ['At Stripe', 'By card and other methods. The money is credited once Stripe has it.'],
};

/** How tenants pay for top-ups. */
export function PaymentsForm({ track }: { track: Track }) {
  const g = useSettingsGroup('payments', track);
  const stored = useSettings().data?.value.payments;
  const processor = String(g.get('processor') ?? 'none');
  const invalid = ['minimum', 'maximum'].some((name) => Number.isNaN(g.get(name)));
  return (
    <div className="stack">
      <GroupForm of={g} what="payments" invalid={invalid}>
        <Radio.Group
          label="How tenants pay for top-ups"
          description="A change applies to new top-ups."
          value={processor}
          onChange={(v) => g.set('processor', v)}
          error={g.error('processor')}
        >
          <Stack gap={10} mt={8}>
            {Object.entries(processors).map(([value, [label, description]]) => (
              <Radio key={value} size="md" value={value} label={label} description={description} />
            ))}
          </Stack>
        </Radio.Group>
        <AmountSetting of={g} name="minimum" label="Smallest top-up (USD)" />
        <AmountSetting of={g} name="maximum" label="Largest top-up (USD)" />
        {processor === 'transfer' && <BankSettings of={g} />}
        {processor === 'stripe' && (
          <>
            <Secret
              of={g}
              name="stripeKey"
              label="Stripe key"
              placeholder="rk_live_…"
              stored={stored?.stripeKeySet ? 'A key is stored. Enter one to replace it.' : undefined}
              chip={stored?.stripeKeySet ? (stored.stripeLive ? 'live mode' : 'test mode') : undefined}
            />
            <Secret
              of={g}
              name="stripeWebhookSecret"
              label="Webhook signing secret"
              placeholder="whsec_…"
              stored={
                stored?.stripeWebhookSecretSet
                  ? 'A secret is stored. Enter one to replace it, or two with a comma while you replace it at Stripe.'
                  : undefined
              }
            />
          </>
        )}
      </GroupForm>
      {stored?.stripeKeySet && <CheckPayments unsaved={g.unsaved} />}
    </div>
  );
}

function BankSettings({ of: g }: { of: SettingsGroup }) {
  return (
    <>
      <TextSetting
        of={g}
        name="bankRecipient"
        label="Account holder"
        description="As the transfer must name it"
        maxLength={100}
        required
      />
      <TextSetting
        of={g}
        name="bankAccount"
        label="Bank account"
        description="IBAN or account number"
        maxLength={64}
        required
      />
      <TextSetting
        of={g}
        name="bankCode"
        label="Bank code"
        description="BIC, SWIFT code or routing number; may be empty"
        maxLength={64}
      />
      <TextSetting of={g} name="bankName" label="Bank" description="Name of the bank; may be empty" maxLength={100} />
      <Textarea
        label="Note for tenants"
        description="Shown with the bank details, such as how long a transfer takes; may be empty"
        maxLength={500}
        value={String(g.get('bankNote') ?? '')}
        onChange={(e) => g.set('bankNote', e.currentTarget.value)}
        error={g.error('bankNote')}
      />
    </>
  );
}

/** A setting that is an amount. While it cannot be read, its value is NaN. */
function AmountSetting({ of: g, name, label }: { of: SettingsGroup; name: string; label: string }) {
  const [typed, setTyped] = useState<string | null>(null);
  const { unsaved } = g;
  useEffect(() => {
    if (!unsaved) setTyped(null); // saved or discarded
  }, [unsaved]);
  const text = (g.unsaved ? typed : null) ?? String(g.get(name) ?? '');
  return (
    <TextInput
      label={label}
      inputMode="decimal"
      value={text}
      onChange={(e) => {
        setTyped(e.currentTarget.value);
        const parsed = parseMoney(e.currentTarget.value);
        g.set(name, parsed === null ? Number.NaN : dollars(parsed));
      }}
      error={Number.isNaN(g.get(name)) ? amountHint : g.error(name)}
      autoComplete="off"
      required
    />
  );
}

interface SecretProps {
  of: SettingsGroup;
  name: string;
  label: string;
  placeholder: string;
  /** What is said where a value is stored. */
  stored?: string;
  chip?: string;
}

/** A value that is stored encrypted and never shown. */
function Secret({ of: g, name, label, placeholder, stored, chip }: SecretProps) {
  return (
    <PasswordInput
      label={
        <>
          {label} {chip && <Chip tone={chip === 'live mode' ? 'good' : 'warn'}>{chip}</Chip>}
        </>
      }
      description={stored ?? 'It is encrypted and never shown again.'}
      placeholder={stored ? undefined : placeholder}
      value={String(g.get(name) ?? '')}
      onChange={(e) => g.set(name, e.currentTarget.value.trim() || undefined)}
      error={g.error(name)}
      autoComplete="off"
      visibilityToggleButtonProps={{ 'aria-label': 'Show or hide what is typed' }}
    />
  );
}
