import { Radio, Stack, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../../api/client';
import { type Track, useSettings, useSettingsGroup } from '../../../api/settings';
import { parseCount } from '../../../parts/count';
import { dollars, parseMoney } from '../../../parts/money';
import { amountHint } from '../CreateAccountDialog';
import { GroupForm } from './GroupForm';

const policies: Record<Schema['SignUp']['policy'], [string, string]> = {
  closed: ['Closed', 'Only you create accounts.'],
  invitation: ['By invitation', 'Users you invite create their own account.'],
  domains: ['By domain', 'Users with an email address in certain domains, and users you invite.'],
  open: ['Open', 'Everyone with an email address.'],
};

/** Who may create an account, and what it starts with. */
export function SignUpForm({ track }: { track: Track }) {
  const g = useSettingsGroup('signUp', track);
  const mails = useSettings().data?.value.mail.configured;
  const [credit, setCredit] = useState<string | null>(null);
  const policy = String(g.get('policy') ?? 'closed');
  const domains = (g.get('domains') as string[] | undefined) ?? [];
  const [typed, setTyped] = useState<string | null>(null);
  const [days, setDays] = useState<string | null>(null);
  const count = days === null || days.trim() === '' ? 0 : (parseCount(days, 3650) ?? undefined);
  const amount = credit === null ? undefined : parseMoney(credit.trim() || '0');
  return (
    <GroupForm of={g} what="sign-up" invalid={amount === null || count === undefined}>
      <Radio.Group
        label="Who may create an account"
        description={
          mails === false && policy !== 'closed'
            ? 'Users can sign up only after you set up a mail server, because addresses are confirmed by email.'
            : undefined
        }
        value={policy}
        onChange={(v) => g.set('policy', v)}
        error={g.error('policy')}
      >
        <Stack gap={10} mt={8}>
          {Object.entries(policies).map(([value, [label, description]]) => (
            <Radio key={value} size="md" value={value} label={label} description={description} />
          ))}
        </Stack>
      </Radio.Group>
      {policy === 'domains' && (
        <TextInput
          label="Domains"
          description="Separated by spaces. Subdomains are not included."
          placeholder="example.com example.org"
          value={(g.unsaved ? typed : null) ?? domains.join(' ')}
          onChange={(e) => {
            setTyped(e.currentTarget.value);
            g.set('domains', e.currentTarget.value.split(/[\s,]+/).filter(Boolean));
          }}
          error={g.error('domains')}
          autoComplete="off"
          required
        />
      )}
      <TextInput
        label="Starting credit (USD)"
        description="Credit for each account that is created by signing up, once per mailbox"
        inputMode="decimal"
        value={(g.unsaved ? credit : null) ?? String(g.get('startingCredit') ?? 0)}
        onChange={(e) => {
          const text = e.currentTarget.value;
          setCredit(text);
          const parsed = parseMoney(text.trim() || '0');
          g.set('startingCredit', parsed === null ? Number.NaN : dollars(parsed));
        }}
        error={amount === null && g.unsaved ? amountHint : g.error('startingCredit')}
        autoComplete="off"
      />
      <TextInput
        label="Starting credit expires after (days)"
        description="Counted from the sign-up. Never if empty."
        inputMode="numeric"
        value={(g.unsaved ? days : null) ?? shownDays(g.get('startingCreditDays'))}
        onChange={(e) => {
          const text = e.currentTarget.value;
          setDays(text);
          g.set('startingCreditDays', text.trim() === '' ? 0 : (parseCount(text, 3650) ?? Number.NaN));
        }}
        error={
          count === undefined && g.unsaved
            ? 'Enter a number from 1 to 3,650, or nothing.'
            : g.error('startingCreditDays')
        }
        autoComplete="off"
      />
    </GroupForm>
  );
}

/** The stored days as the field shows them: nothing for a credit that does not expire. */
function shownDays(stored: unknown): string {
  return stored ? String(stored) : '';
}
