import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation, useNavigate } from 'react-router';
import { call } from '../../api/client';
import { startOver } from '../../api/queries';
import { useMe } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { useTitle } from '../../parts/title';
import { PlainPage } from './PlainPage';

/** The token is in the URL's fragment, so that no server receives it. */
export default function Invite() {
  const token = useLocation().hash.slice(1);
  const invitation = useQuery({
    queryKey: ['invitation', token],
    queryFn: () => call('post', '/api/v1/account/invitations/preview', { body: { token } }),
    enabled: token !== '',
    retry: false,
    staleTime: 'static',
  });
  const me = useMe().data;
  const navigate = useNavigate();
  const [email, setEmail] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  useTitle('Invitation');
  const accept = useMutation({
    mutationFn: async () => {
      const body = me ? { token } : { token, email: invitation.data?.email || email, name, password };
      await call('post', '/api/v1/account/invitations/accept', { body });
      await startOver();
    },
    onSuccess: () => navigate('/', { replace: true }),
  });

  const invited = invitation.data;
  if (!token || invitation.isError)
    return (
      <PlainPage title="Invalid invite link">
        {invitation.isError ? (
          <ErrorBox error={invitation.error} />
        ) : (
          <p>The link is incomplete. Copy the full link, including the part after #.</p>
        )}
        <p>Ask for a new link. Each link works once and expires after seven days.</p>
        <Button component={Link} to="/sign-in" variant="default">
          Sign in
        </Button>
      </PlainPage>
    );
  if (!invited) return <PlainPage title="Invitation">{null}</PlainPage>;

  return (
    <PlainPage title={`Join ${invited.accountName}`}>
      <p className="dim" style={{ marginTop: -8 }}>
        {invited.invitedBy} invited you as {invited.role}.
      </p>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          accept.mutate();
        }}
        style={{ display: 'grid', gap: 14 }}
      >
        {me ? (
          <p style={{ margin: 0 }}>
            You are signed in as <b>{me.user.email}</b>. The account is added to yours.
          </p>
        ) : (
          <>
            <TextInput
              label="Email"
              type="email"
              value={invited.email || email}
              readOnly={invited.email !== ''}
              onChange={(e) => setEmail(e.currentTarget.value)}
              autoComplete="username"
              required
            />
            <TextInput
              label="Name"
              value={name}
              onChange={(e) => setName(e.currentTarget.value)}
              autoComplete="name"
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
          </>
        )}
        <ErrorBox error={accept.error} />
        <Button type="submit" loading={accept.isPending}>
          Join {invited.accountName}
        </Button>
        {!me && (
          <p className="small dim" style={{ margin: 0 }}>
            Already have an account?{' '}
            <Link to={`/sign-in?returnTo=${encodeURIComponent(`/invite#${token}`)}`}>Sign in</Link> first.
          </p>
        )}
      </form>
    </PlainPage>
  );
}
