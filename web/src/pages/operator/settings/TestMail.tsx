import { Alert, Button, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../../api/client';
import { fieldErrors, useSend } from '../../../api/hooks';
import { useMe } from '../../../api/session';
import { ErrorBox } from '../../../parts/ErrorBox';

type Step = NonNullable<Schema['MailTestResult']['step']>;

const failures: Record<Step, string> = {
  connect: 'The mail server cannot be reached',
  tls: 'The connection cannot be encrypted',
  sign_in: 'The mail server refuses the user or the password',
  sender: 'The mail server refuses the sender address',
  recipient: 'The mail server refuses the recipient',
  content: 'The mail server refuses the email',
};

/** Sends a mail by the stored settings, and shows which step failed. */
export function TestMail({ unsaved }: { unsaved: boolean }) {
  const me = useMe().data;
  const test = useSend('post', '/api/v1/operator/settings/mail-test');
  const [to, setTo] = useState(me?.user.email ?? '');
  const errors = fieldErrors(test.error);
  return (
    <form
      className="stack"
      onSubmit={(e) => {
        e.preventDefault();
        test.mutate({ body: { to: to.trim() } });
      }}
      noValidate
    >
      <TextInput
        label="Send test email to"
        description={
          unsaved ? 'Save your changes first: the test uses the stored settings.' : 'It takes up to 8 seconds.'
        }
        type="email"
        value={to}
        onChange={(e) => setTo(e.currentTarget.value)}
        error={errors.at('to')}
        autoComplete="email"
      />
      <div aria-live="polite">
        <ErrorBox error={errors.general} />
        {test.data && (
          <Alert
            color={test.data.ok ? 'green' : 'red'}
            variant="outline"
            title={test.data.step ? failures[test.data.step] : 'The mail server accepted the message'}
          >
            <span style={{ overflowWrap: 'anywhere' }}>
              {test.data.ok ? `Check that it arrives at ${test.variables?.body.to}.` : test.data.message}
            </span>
          </Alert>
        )}
      </div>
      <div>
        <Button type="submit" variant="default" disabled={unsaved || !to.trim()} loading={test.isPending}>
          Send test email
        </Button>
      </div>
    </form>
  );
}
