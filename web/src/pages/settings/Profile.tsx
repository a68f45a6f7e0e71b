import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { ApiError } from '../../api/client';
import { useChangePassword, useRename } from '../../api/members';
import { useMe } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageHead } from '../../parts/PageHead';
import { toast } from '../../parts/toast';
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
        {me.user.email}, {me.role} of {me.account.name}
      </PageHead>
      <div className="stack profile">
        <Name name={me.user.name} />
        <Password />
        <Totp on={me.user.totp} email={me.user.email} />
        <Passkeys />
        <Sessions />
      </div>
    </>
  );
}

function Name({ name: before }: { name: string }) {
  const [name, setName] = useState(before);
  const rename = useRename();
  return (
    <section className="panel" aria-labelledby="name">
      <div className="panel-head">
        <h2 id="name">Name</h2>
      </div>
      <form
        className="panel-body stack"
        onSubmit={(e) => {
          e.preventDefault();
          rename.mutate(name.trim(), { onSuccess: () => toast('Saved') });
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
            Save
          </Button>
        </div>
      </form>
    </section>
  );
}

function Password() {
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const change = useChangePassword();
  const error = change.error instanceof ApiError ? change.error : null;
  const fault = (field: string) => error?.fields.find((f) => f.field === field)?.message;
  const toggle = { 'aria-label': 'Show or hide the password' };
  return (
    <section className="panel" aria-labelledby="password">
      <div className="panel-head">
        <h2 id="password">Password</h2>
      </div>
      <form
        className="panel-body stack"
        onSubmit={(e) => {
          e.preventDefault();
          change.mutate(
            { currentPassword: current, newPassword: next },
            {
              onSuccess: () => {
                toast('Password changed; your other sessions have ended');
                setCurrent('');
                setNext('');
              },
            },
          );
        }}
      >
        <PasswordInput
          label="Present password"
          value={current}
          onChange={(e) => setCurrent(e.currentTarget.value)}
          error={fault('currentPassword')}
          autoComplete="current-password"
          visibilityToggleButtonProps={toggle}
        />
        <PasswordInput
          label="New password"
          description="10 characters or more; your other sessions end"
          value={next}
          onChange={(e) => setNext(e.currentTarget.value)}
          error={fault('newPassword')}
          autoComplete="new-password"
          visibilityToggleButtonProps={toggle}
        />
        {error && error.fields.length === 0 && <ErrorBox error={error} />}
        <div>
          <Button type="submit" variant="default" disabled={!current || next.length < 10} loading={change.isPending}>
            Change password
          </Button>
        </div>
      </form>
    </section>
  );
}
