import { Button, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { solve } from '../../api/altcha';
import { call } from '../../api/client';
import { useSignInMethods } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { useTitle } from '../../parts/title';
import { CheckMail } from './CheckMail';
import { PlainPage } from './PlainPage';

/** Asks for an email address, to which a link is mailed. Nothing exists before it is opened. */
export default function SignUp() {
  const methods = useSignInMethods();
  const signUp = methods.data?.signUp;
  const [email, setEmail] = useState('');
  useTitle('Create an account');
  const register = useMutation({
    mutationFn: async () => {
      const body = { email, solution: await solve('registration') };
      return call('post', '/api/v1/account/registrations', { body });
    },
  });
  if (!signUp)
    return (
      <PlainPage title="Create an account">
        <ErrorBox error={methods.error} />
      </PlainPage>
    );
  if (!signUp.open)
    return (
      <PlainPage title="Sign-up is closed">
        <p>Ask the operator for an account, or a member of an account for an invitation.</p>
        <Button component={Link} to="/sign-in" variant="default">
          Sign in
        </Button>
      </PlainPage>
    );
  if (register.data) return <CheckMail email={register.data.email} again={() => register.reset()} />;
  return (
    <PlainPage title="Create an account">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          register.mutate();
        }}
        style={{ display: 'grid', gap: 14 }}
      >
        <TextInput
          label="Email"
          description={signUp.domains.length > 0 ? `An address of ${signUp.domains.join(', ')}` : undefined}
          type="email"
          name="email"
          value={email}
          onChange={(e) => setEmail(e.currentTarget.value)}
          autoComplete="email"
          required
          autoFocus
        />
        <ErrorBox error={register.error} />
        <Button type="submit" loading={register.isPending}>
          Send confirmation link
        </Button>
        <p className="small dim" style={{ margin: 0 }}>
          Already have an account? <Link to="/sign-in">Sign in</Link>
        </p>
      </form>
    </PlainPage>
  );
}
