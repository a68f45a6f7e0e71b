import { NumberInput, PasswordInput, Radio, Stack } from '@mantine/core';
import type { Schema } from '../../../api/client';
import { type Track, useSettings, useSettingsGroup } from '../../../api/settings';
import { GroupForm, TextSetting } from './GroupForm';
import { TestMail } from './TestMail';

const modes: Record<Schema['MailServer']['tls'], string> = {
  starttls: 'STARTTLS, usually on port 587',
  tls: 'TLS from the beginning, usually on port 465',
  none: 'None: email is sent unencrypted. A password is then accepted only for a mail server on this machine.',
};

/** The mail server, the sender of mails, and a test. */
export function MailForm({ track }: { track: Track }) {
  const g = useSettingsGroup('mail', track);
  const mail = useSettings().data?.value.mail;
  return (
    <div className="stack">
      <GroupForm of={g} what="mail server">
        <TextSetting
          of={g}
          name="host"
          label="Server"
          description="Host name of the SMTP server, without a port; empty to send no email"
          placeholder="smtp.example.com"
        />
        <NumberInput
          label="Port"
          description="587 for STARTTLS, 465 for TLS"
          min={1}
          max={65535}
          allowDecimal={false}
          hideControls
          value={Number(g.get('port') ?? 587)}
          onChange={(v) => g.set('port', Number(v))}
          error={g.error('port')}
        />
        <Radio.Group
          label="Encryption"
          value={String(g.get('tls') ?? 'starttls')}
          onChange={(v) => g.set('tls', v)}
          error={g.error('tls')}
        >
          <Stack gap={10} mt={8}>
            {Object.entries(modes).map(([value, label]) => (
              <Radio key={value} size="md" value={value} label={label} />
            ))}
          </Stack>
        </Radio.Group>
        <TextSetting
          of={g}
          name="user"
          label="User"
          description="User name at the mail server; empty to send without signing in"
          // Without a user a stored password has no use and is deleted.
          onText={(user) => mail?.passwordSet && !g.get('password') && g.set('password', user ? undefined : '')}
        />
        <PasswordInput
          label="Mail password"
          description={
            mail?.passwordSet
              ? 'A password is stored. Enter one to replace it. If you change the server or port, enter it again.'
              : 'It is encrypted and never shown again'
          }
          value={String(g.get('password') ?? '')}
          onChange={(e) => g.set('password', e.currentTarget.value || undefined)}
          error={g.error('password')}
          autoComplete="off"
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide password' }}
        />
        <TextSetting
          of={g}
          name="fromAddress"
          label="Sender address"
          description="The mail server must accept it as a sender"
          placeholder="no-reply@example.com"
          type="email"
        />
        <TextSetting
          of={g}
          name="fromName"
          label="Sender name"
          description="The name of the installation if empty"
          maxLength={64}
        />
        <TextSetting
          of={g}
          name="replyTo"
          label="Reply address"
          description="Where replies go; the sender address if empty"
          type="email"
        />
      </GroupForm>
      {mail?.configured && <TestMail unsaved={g.unsaved} />}
    </div>
  );
}
