import { Alert, Button, PasswordInput, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, Navigate, useNavigate, useSearchParams } from 'react-router';
import { ApiError, type Schema } from '../../api/client';
import { signIn, useMe, useSignInMethods } from '../../api/session';
import { isDismissed, passkeysSupported, signInWithPasskey } from '../../api/webauthn';
import { ErrorBox } from '../../parts/ErrorBox';
import { useTitle } from '../../parts/title';
import { PlainPage } from './PlainPage';

/**
 * The path to return to. Anything but a path of this site is refused: the URL may come from anyone.
 */
export function safeReturn(to: string | null): string {
  return to && /^\/(?![/\\])/.test(to) ? to : '/';
}

const providerErrors: Record<string, string> = {
  SIGN_IN_FAILED: 'No user has your verified email address. Ask a member of your account for an invitation.',
  INVALID_REQUEST: 'The sign-in expired or was started in another window. Try again.',
  CONFLICT: 'Your email address is linked to another identity. Contact the operator.',
  SERVICE_UNAVAILABLE: 'The identity provider is not responding. Try again or use another sign-in method.',
  RATE_LIMIT_EXCEEDED: 'Too many attempts. Wait a minute and try again.',
};

export default function SignIn() {
  const [search] = useSearchParams();
  const back = safeReturn(search.get('returnTo'));
  const { data: methods, isPending, failureCount } = useSignInMethods();
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
  const demo = methods?.demo;
  const withDemo = useMutation({
    mutationFn: () => signIn({ email: demo?.email ?? '', password: demo?.password ?? '' }),
    onSuccess: done,
  });
  const withPasskey = useMutation({ mutationFn: signInWithPasskey, onSuccess: done });

  useTitle('Sign in');
  useEffect(() => {
    if (demo) setEmail((typed) => typed || demo.email);
  }, [demo]);
  if (methods?.setup) return <Navigate to="/setup" replace />;
  if (me.data && !withPassword.isPending && !withDemo.isPending && !withPasskey.isPending)
    return <Navigate to={back} replace />;

  // The form waits for what stands above it, so that it does not move while the user types or
  // clicks, nor gets the demo's email address between two characters.
  if (isPending && failureCount === 0) return <PlainPage title="Sign in">{null}</PlainPage>;

  // The first response asks for the code. With a code sent, the same response means that it was
  // wrong.
  const codeRequired = withPassword.error instanceof ApiError && withPassword.error.code === 'SECOND_FACTOR_REQUIRED';
  // An identity provider's refusal is in the URL, as an error code.
  const providerError = search.get('error');
  const returning = back !== '/' && !second;

  return (
    <PlainPage title={second ? 'Two-factor authentication' : 'Sign in'}>
      {providerError && !second && (
        <Alert color="red" variant="outline" role="alert" mb="md" title="Sign-in failed">
          {providerErrors[providerError] ?? 'Try again or use another sign-in method.'}
          <div className="small dim mono">{providerError}</div>
        </Alert>
      )}
      {!second && <About name={methods?.name} demo={demo} />}
      {!second && demo?.password && (
        <div className="plain-demo">
          <Button loading={withDemo.isPending} onClick={() => withDemo.mutate()} fullWidth>
            Sign in to the demo
          </Button>
          <ErrorBox error={withDemo.error} />
        </div>
      )}
      {returning && <p className="dim">You will return to the page you were on.</p>}
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
            description="From your authenticator app, or a recovery code"
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
              label="Email"
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
              visibilityToggleButtonProps={{ 'aria-label': 'Show or hide password' }}
              required
            />
          </>
        )}
        {!(codeRequired && !code) && <ErrorBox error={withPassword.error} />}
        <Button type="submit" loading={withPassword.isPending} fullWidth>
          {second ? 'Continue' : 'Sign in'}
        </Button>
        {second && (
          <Button variant="subtle" color="gray" onClick={() => setSecond(false)}>
            Start over
          </Button>
        )}
      </form>
      {!second && (methods?.oidc || (methods?.passkeys && passkeysSupported())) && (
        <div style={{ display: 'grid', gap: 10, marginTop: 18, paddingTop: 18, borderTop: '1px solid var(--line)' }}>
          {methods.passkeys && passkeysSupported() && (
            <Button variant="default" loading={withPasskey.isPending} onClick={() => withPasskey.mutate()}>
              Sign in with a passkey
            </Button>
          )}
          {methods.oidc && (
            <Button
              component="a"
              variant="default"
              href={`${methods.oidc.startUrl}?returnTo=${encodeURIComponent(back)}`}
            >
              Sign in with {methods.oidc.name}
            </Button>
          )}
          <ErrorBox error={isDismissed(withPasskey.error) ? null : withPasskey.error} />
        </div>
      )}
      {!second && (methods?.signUp.open || methods?.signUp.passwordReset) && (
        <p className="plain-links">
          {methods.signUp.passwordReset && <Link to="/forgot-password">Forgot your password?</Link>}
          {methods.signUp.open && <Link to="/sign-up">Create an account</Link>}
        </p>
      )}
    </PlainPage>
  );
}

/** What this is, for a stranger. */
function About({ name, demo }: { name?: string; demo?: Schema['DemoOption'] | null }) {
  if (!name) return null;
  if (!demo)
    return (
      <p className="dim">
        {name} offers bare-metal GPU machines by the hour, from several providers. Deploy one, and connect over SSH.
      </p>
    );
  return (
    <div className="dim">
      <p>
        This is a demo of {name}, which offers bare-metal GPU machines by the hour. The providers and their machines are
        simulated: you can deploy, connect over SSH and attach volumes, and nothing costs money.
      </p>
      <p>
        {demo.password
          ? 'The demo user has $1,000 of credit and is also the operator.'
          : 'The password of the demo user is in your terminal and in demo.json in the data directory.'}
      </p>
    </div>
  );
}
