import { Alert, Button, PasswordInput, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Navigate, useNavigate, useSearchParams } from 'react-router';
import { ApiError } from '../../api/client';
import { signIn, useMe, useSignInOptions } from '../../api/session';
import { dismissed, passkeysPossible, signInWithPasskey } from '../../api/webauthn';
import { ErrorBox } from '../../parts/ErrorBox';
import { Door } from './Door';

/** Only a path of this site: what comes in the address may be anybody's. */
export function safeReturn(to: string | null): string {
  return to && /^\/(?![/\\])/.test(to) ? to : '/';
}

const elsewhereWords: Record<string, string> = {
  SIGN_IN_FAILED:
    'Nobody here has the e-mail address that it confirmed. Ask somebody of your account for an invitation.',
  INVALID_REQUEST: 'It took too long, or was begun in another window. Begin again.',
  CONFLICT: 'Your address belongs to another sign-in of that provider. Ask whoever runs this cloud.',
  SERVICE_UNAVAILABLE: 'The identity provider does not answer at the moment. Try again, or sign in another way.',
  RATE_LIMIT_EXCEEDED: 'There were too many tries. Wait a minute.',
};

export default function SignIn() {
  const [search] = useSearchParams();
  const back = safeReturn(search.get('returnTo'));
  const ways = useSignInOptions();
  const me = useMe();
  const navigate = useNavigate();
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [second, setSecond] = useState(false);
  const done = () => navigate(back, { replace: true });

  const withPassword = useMutation({
    mutationFn: () => signIn({ email, password, ...(second && { code: code.replaceAll(' ', '') }) }),
    onSuccess: done,
    onError: (e) => {
      if (e instanceof ApiError && e.code === 'SECOND_FACTOR_REQUIRED') setSecond(true);
    },
  });
  const withPasskey = useMutation({ mutationFn: signInWithPasskey, onSuccess: done });

  useEffect(() => {
    document.title = 'Sign in · Billet';
  }, []);
  useEffect(() => {
    if (ways.data?.demo) setEmail((typed) => typed || (ways.data?.demo?.email ?? ''));
  }, [ways.data]);
  if (me.data && !withPassword.isPending && !withPasskey.isPending) return <Navigate to={back} replace />;

  // The first answer only asks for the code; with a code given, the same answer says that it was wrong.
  const asked = withPassword.error instanceof ApiError && withPassword.error.code === 'SECOND_FACTOR_REQUIRED';
  // An identity provider's refusal comes back in the address, as the code of an error.
  const elsewhere = search.get('error');
  const returning = back !== '/' && !second;

  return (
    <Door title={second ? 'One more step' : 'Sign in'}>
      {elsewhere && !second && (
        <Alert color="red" variant="outline" role="alert" mb="md" title="That sign-in did not work">
          {elsewhereWords[elsewhere] ?? 'Try again, or sign in another way.'}
          <div className="small dim mono">{elsewhere}</div>
        </Alert>
      )}
      {returning && <p className="dim">You will come back to where you were.</p>}
      <form
        onSubmit={(e) => {
          e.preventDefault();
          withPassword.mutate();
        }}
        style={{ display: 'grid', gap: 14 }}
      >
        {second ? (
          <TextInput
            label="Code"
            description="From your authenticator app, or one of your recovery codes"
            value={code}
            onChange={(e) => setCode(e.currentTarget.value)}
            autoComplete="one-time-code"
            inputMode="text"
            autoFocus
            required
          />
        ) : (
          <>
            <TextInput
              label="E-mail"
              type="email"
              name="email"
              value={email}
              onChange={(e) => setEmail(e.currentTarget.value)}
              autoComplete="username webauthn"
              required
              autoFocus
            />
            <PasswordInput
              label="Password"
              name="password"
              value={password}
              onChange={(e) => setPassword(e.currentTarget.value)}
              autoComplete="current-password"
              visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
              required
            />
          </>
        )}
        {!(asked && !code) && <ErrorBox error={withPassword.error} />}
        <Button type="submit" loading={withPassword.isPending} fullWidth>
          {second ? 'Continue' : 'Sign in'}
        </Button>
        {second && (
          <Button variant="subtle" color="gray" onClick={() => setSecond(false)}>
            Start over
          </Button>
        )}
      </form>
      {!second && (ways.data?.oidc || (ways.data?.passkeys && passkeysPossible())) && (
        <div style={{ display: 'grid', gap: 10, marginTop: 18, paddingTop: 18, borderTop: '1px solid var(--line)' }}>
          {ways.data.passkeys && passkeysPossible() && (
            <Button variant="default" loading={withPasskey.isPending} onClick={() => withPasskey.mutate()}>
              Sign in with a passkey
            </Button>
          )}
          {ways.data.oidc && (
            <Button
              component="a"
              variant="default"
              href={`${ways.data.oidc.startUrl}?returnTo=${encodeURIComponent(back)}`}
            >
              Sign in with {ways.data.oidc.name}
            </Button>
          )}
          <ErrorBox error={dismissed(withPasskey.error) ? null : withPasskey.error} />
        </div>
      )}
      {ways.data?.demo && !second && (
        <p className="small dim" style={{ marginBottom: 0 }}>
          A demo server: the password was printed when it started, and is in <code>demo.json</code> of its data
          directory.
        </p>
      )}
    </Door>
  );
}
