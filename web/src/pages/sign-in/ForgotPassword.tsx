import { Button, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { solve } from '../../api/altcha';
import { call } from '../../api/client';
import { ErrorBox } from '../../parts/ErrorBox';
import { useTitle } from '../../parts/title';
import { CheckMail } from './CheckMail';
import { PlainPage } from './PlainPage';

export default function ForgotPassword() {
  const [email, setEmail] = useState('');
  useTitle('Reset your password');
  const request = useMutation({
    mutationFn: async () => {
      const body = { email, solution: await solve('password-reset') };
      return call('post', '/api/v1/account/password-resets', { body });
    },
  });
  if (request.data) return <CheckMail email={request.data.email} again={() => request.reset()} />;
  return (
    <PlainPage title="Reset your password">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          request.mutate();
        }}
        style={{ display: 'grid', gap: 14 }}
      >
        <TextInput
          label="Email"
          type="email"
          name="email"
          value={email}
          onChange={(e) => setEmail(e.currentTarget.value)}
          autoComplete="username"
          required
          autoFocus
        />
        <ErrorBox error={request.error} />
        <Button type="submit" loading={request.isPending}>
          Send reset link
        </Button>
        <p className="small dim" style={{ margin: 0 }}>
          Remembered it? <Link to="/sign-in">Sign in</Link>
        </p>
      </form>
    </PlainPage>
  );
}
