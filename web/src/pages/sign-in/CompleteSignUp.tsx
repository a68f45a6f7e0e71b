import { Button, Checkbox, PasswordInput, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation, useNavigate } from 'react-router';
import { call } from '../../api/client';
import { asApiError } from '../../api/error';
import { startOver } from '../../api/queries';
import { useSignInMethods } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { useTitle } from '../../parts/title';
import { PlainPage } from './PlainPage';
import { Terms } from './Terms';

/** The page that the link of the mail opens. No server receives the token in its fragment. */
export default function CompleteSignUp() {
  const token = useLocation().hash.slice(1);
  const registration = useQuery({
    queryKey: ['registration', token],
    queryFn: () => call('post', '/api/v1/account/registrations/preview', { body: { token } }),
    enabled: token !== '',
    retry: false,
    staleTime: 'static',
  });
  const methods = useSignInMethods();
  const signUp = methods.data?.signUp;
  const navigate = useNavigate();
  const [name, setName] = useState('');
  const [accountName, setAccountName] = useState('');
  const [password, setPassword] = useState('');
  const [accepted, setAccepted] = useState(false);
  useTitle('Create your account');
  const complete = useMutation({
    mutationFn: async () => {
      const body = { token, name, accountName, password, termsVersion: signUp?.termsVersion ?? '' };
      await call('post', '/api/v1/account/registrations/verify', { body });
      await startOver();
    },
    onSuccess: () => navigate('/', { replace: true }),
  });

  const found = registration.data;
  const failed = registration.error ? asApiError(registration.error) : null;
  if (!token || failed)
    return (
      <PlainPage title={failed && failed.status !== 404 ? 'Create your account' : 'Invalid link'}>
        {failed ? (
          <ErrorBox error={registration.error} />
        ) : (
          <p>The link is incomplete. Copy the full link, including the part after #.</p>
        )}
        <Button component={Link} to="/sign-up" variant="default">
          Request a new link
        </Button>
      </PlainPage>
    );
  if (!found || !signUp)
    return (
      <PlainPage title="Create your account">
        <ErrorBox error={methods.error} />
      </PlainPage>
    );
  return (
    <PlainPage title="Create your account">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          complete.mutate();
        }}
        style={{ display: 'grid', gap: 14 }}
      >
        <TextInput label="Email" type="email" value={found.email} readOnly autoComplete="username" />
        <TextInput
          label="Your name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          autoComplete="name"
          required
        />
        <TextInput
          label="Account name"
          description="Your organization or team. You can invite others later."
          value={accountName}
          onChange={(e) => setAccountName(e.currentTarget.value)}
          autoComplete="organization"
          required
        />
        <PasswordInput
          label="Password"
          description="At least 10 characters"
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          autoComplete="new-password"
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide password' }}
          minLength={10}
          required
        />
        {signUp.termsVersion && (
          <Checkbox
            label={<Terms of={signUp} />}
            checked={accepted}
            onChange={(e) => setAccepted(e.currentTarget.checked)}
            required
          />
        )}
        <ErrorBox error={complete.error} />
        <Button type="submit" loading={complete.isPending}>
          Create account
        </Button>
      </form>
    </PlainPage>
  );
}
