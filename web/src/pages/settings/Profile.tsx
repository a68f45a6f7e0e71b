import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { fieldErrors, useSend } from '../../api/hooks';
import { useMe } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { toast } from '../../parts/toast';
import { MailPreferences } from './MailPreferences';
import { Passkeys } from './Passkeys';
import { Sessions } from './Sessions';
import './settings.css';
import { Totp } from './Totp';

export default function Profile() {
  const me = useMe().data;
  if (!me) return null;
  return (
    <>
      <PageHead title="Profile & security">
        {me.user.email} · {me.role} in {me.account.name}
      </PageHead>
      <div className="stack profile">
        <Name name={me.user.name} />
        <Password />
        <Totp on={me.user.totp} email={me.user.email} />
        <Passkeys />
        <Sessions />
        <MailPreferences />
      </div>
    </>
  );
}

function Name({ name: before }: { name: string }) {
  const [name, setName] = useState(before);
  const rename = useSend('patch', '/api/v1/account/me');
  return (
    <Panel title="Name">
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          rename.mutate({ body: { name: name.trim() } }, { onSuccess: () => toast('Saved') });
        }}
      >
        <TextInput
          label="Your name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          maxLength={64}
          autoComplete="name"
        />
        <ErrorBox error={rename.error} />
        <div>
          <Button
            type="submit"
            variant="default"
            disabled={!name.trim() || name.trim() === before}
            loading={rename.isPending}
          >
            Save name
          </Button>
        </div>
      </form>
    </Panel>
  );
}

function Password() {
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const change = useSend('put', '/api/v1/account/me/password');
  const { at, general } = fieldErrors(change.error);
  const toggle = { 'aria-label': 'Show or hide password' };
  const submit = () =>
    change.mutate(
      { body: { currentPassword: current, newPassword: next } },
      {
        onSuccess: () => {
          toast('Password changed. Other sessions signed out.');
          setCurrent('');
          setNext('');
        },
      },
    );
  return (
    <Panel title="Password">
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          submit();
        }}
      >
        <PasswordInput
          label="Current password"
          value={current}
          onChange={(e) => setCurrent(e.currentTarget.value)}
          error={at('currentPassword')}
          autoComplete="current-password"
          visibilityToggleButtonProps={toggle}
        />
        <PasswordInput
          label="New password"
          description="At least 10 characters. Signs you out elsewhere."
          value={next}
          onChange={(e) => setNext(e.currentTarget.value)}
          error={at('newPassword')}
          autoComplete="new-password"
          visibilityToggleButtonProps={toggle}
        />
        <ErrorBox error={general} />
        <div>
          <Button type="submit" variant="default" disabled={!current || next.length < 10} loading={change.isPending}>
            Change password
          </Button>
        </div>
      </form>
    </Panel>
  );
}
