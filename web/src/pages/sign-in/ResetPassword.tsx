import { Button, PasswordInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation } from 'react-router';
import { call } from '../../api/client';
import { ErrorBox } from '../../parts/ErrorBox';
import { useTitle } from '../../parts/title';
import { PlainPage } from './PlainPage';

/** The page that the link of the mail opens. No server receives the token in its fragment. */
export default function ResetPassword() {
  const token = useLocation().hash.slice(1);
  const [password, setPassword] = useState('');
  useTitle('Set a new password');
  const reset = useMutation({
    mutationFn: () => call('post', '/api/v1/account/password-resets/confirm', { body: { token, password } }),
  });
  if (reset.data)
    return (
      <PlainPage title="Your password has been changed">
        <p>
          All sessions of <b>{reset.data.email}</b> have ended. Sign in with the new password.
        </p>
        <Button component={Link} to="/sign-in">
          Sign in
        </Button>
      </PlainPage>
    );
  if (!token)
    return (
      <PlainPage title="Invalid link">
        <p>The link is incomplete. Copy the full link, including the part after #.</p>
        <Button component={Link} to="/forgot-password" variant="default">
          Request a new link
        </Button>
      </PlainPage>
    );
  return (
    <PlainPage title="Set a new password">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          reset.mutate();
        }}
        style={{ display: 'grid', gap: 14 }}
      >
        <PasswordInput
          label="New password"
          description="At least 10 characters"
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          autoComplete="new-password"
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide password' }}
          minLength={10}
          required
          autoFocus
        />
        <ErrorBox error={reset.error} />
        <Button type="submit" loading={reset.isPending}>
          Set password
        </Button>
        <p className="small dim" style={{ margin: 0 }}>
          Two-factor authentication stays on. <Link to="/forgot-password">Request a new link</Link>
        </p>
      </form>
    </PlainPage>
  );
}
