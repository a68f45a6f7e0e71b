import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useEffect, useState } from 'react';
import { Link, useLocation, useNavigate } from 'react-router';
import { useAcceptInvitation, useInvitation } from '../../api/members';
import { useMe } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { Door } from './Door';

/** The token stands after the # so that no server on the way sees it. */
export default function Invite() {
  const token = useLocation().hash.slice(1);
  const look = useInvitation(token);
  const me = useMe().data;
  const accept = useAcceptInvitation();
  const navigate = useNavigate();
  const [email, setEmail] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  useEffect(() => {
    document.title = 'Invitation · Billet';
  }, []);

  const invited = look.data;
  if (!token || look.isError)
    return (
      <Door title="This invitation does not open">
        {look.isError ? (
          <ErrorBox error={look.error} />
        ) : (
          <p>The link is not complete. Copy all of it, also what follows the #.</p>
        )}
        <p>Ask whoever invited you for a new link; each works once, for seven days.</p>
        <Button component={Link} to="/sign-in" variant="default">
          To the sign-in
        </Button>
      </Door>
    );
  if (!invited) return <Door title="Invitation">{null}</Door>;

  const join = () => {
    const body = me ? { token } : { token, email: invited.email || email, name, password };
    accept.mutate(body, { onSuccess: () => navigate('/', { replace: true }) });
  };
  return (
    <Door title={`Join ${invited.accountName}`}>
      <p className="dim" style={{ marginTop: -8 }}>
        {invited.invitedBy} invites you as {invited.role}.
      </p>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          join();
        }}
        style={{ display: 'grid', gap: 14 }}
      >
        {me ? (
          <p style={{ margin: 0 }}>
            You are signed in as <b>{me.user.email}</b>; this account joins those you have.
          </p>
        ) : (
          <>
            <TextInput
              label="E-mail"
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
              description="10 characters or more"
              value={password}
              onChange={(e) => setPassword(e.currentTarget.value)}
              autoComplete="new-password"
              visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
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
            You have a sign-in here already?{' '}
            <Link to={`/sign-in?returnTo=${encodeURIComponent(`/invite#${token}`)}`}>Sign in</Link> first, and this
            account is added to it.
          </p>
        )}
      </form>
    </Door>
  );
}
