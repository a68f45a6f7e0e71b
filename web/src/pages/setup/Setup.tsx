import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';
import { call } from '../../api/client';
import { asApiError } from '../../api/error';
import { fieldErrors, useGet } from '../../api/hooks';
import { queryClient, setupPath, signInPath, startOver } from '../../api/queries';
import { ErrorBox } from '../../parts/ErrorBox';
import { useTitle } from '../../parts/title';
import { PlainPage } from '../sign-in/PlainPage';

/**
 * The first page of a server without a user. The code may be in the URL's fragment, which no server
 * receives.
 */
export default function Setup() {
  const state = useGet(setupPath);
  const linked = useLocation().hash.slice(1);
  const navigate = useNavigate();
  const [code, setCode] = useState(linked);
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  useTitle('Set up this server');
  // The sign-in page has read that the server must be set up, and would lead back here.
  const leave = (to: string) => {
    queryClient.removeQueries({ queryKey: [signInPath] });
    navigate(to, { replace: true });
  };
  const create = useMutation({
    mutationFn: async () => {
      await call('post', '/api/v1/setup/operator', { body: { code: code.trim(), name: name.trim(), email, password } });
      await startOver();
    },
    onSuccess: () => leave('/operator/setup'),
  });
  // The steps after the first one, for an operator. Others are asked to sign in.
  const done = state.data?.needed === false && create.isIdle;
  useEffect(() => {
    if (!done) return;
    queryClient.removeQueries({ queryKey: [signInPath] });
    navigate('/operator/setup', { replace: true });
  }, [done, navigate]);
  if (state.error)
    return (
      <PlainPage title="Set up this server">
        <ErrorBox error={state.error} retry={() => void state.refetch()} />
      </PlainPage>
    );
  if (!state.data || done) return <PlainPage title="Set up this server">{null}</PlainPage>;

  const errors = fieldErrors(create.error);
  const lost = create.error && asApiError(create.error).code === 'CONFLICT';
  return (
    <PlainPage title="Set up this server">
      <p className="dim" style={{ marginTop: -8 }}>
        This server has no users yet. Create the first operator, who manages the server and all accounts. The remaining
        setup steps can wait.
      </p>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          create.mutate();
        }}
        style={{ display: 'grid', gap: 14 }}
      >
        <TextInput
          label="Setup code"
          description={
            <>
              In the log of <code>billetd serve</code>. <code>billetd setup-code</code> prints a new one.
            </>
          }
          value={code}
          onChange={(e) => setCode(e.currentTarget.value)}
          error={errors.at('code')}
          autoComplete="off"
          spellCheck={false}
          maxLength={64}
          required
          autoFocus={!linked}
        />
        <TextInput
          label="Your name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          error={errors.at('name')}
          autoComplete="name"
          maxLength={64}
          required
          autoFocus={!!linked}
        />
        <TextInput
          label="Email"
          description="For signing in and for email to you"
          type="email"
          value={email}
          onChange={(e) => setEmail(e.currentTarget.value)}
          error={errors.at('email')}
          autoComplete="username"
          required
        />
        <PasswordInput
          label="Password"
          description="At least 10 characters"
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          error={errors.at('password')}
          autoComplete="new-password"
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide password' }}
          minLength={10}
          required
        />
        <ErrorBox error={errors.general} />
        {lost ? (
          <Button variant="default" onClick={() => leave('/sign-in')}>
            Sign in
          </Button>
        ) : (
          <Button type="submit" loading={create.isPending}>
            Create operator
          </Button>
        )}
      </form>
    </PlainPage>
  );
}
