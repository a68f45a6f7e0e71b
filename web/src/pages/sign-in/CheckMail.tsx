import { Button } from '@mantine/core';
import { PlainPage } from './PlainPage';

/** What comes next, whether or not a user has the address. */
export function CheckMail({ email, again }: { email: string; again: () => void }) {
  return (
    <PlainPage title="Check your email">
      <p>
        An email to <b>{email}</b> is on its way. Open the link in it to continue.
      </p>
      <p className="dim">No email after a few minutes? Check the spam folder and the address.</p>
      <Button variant="default" onClick={again}>
        Use another address
      </Button>
    </PlainPage>
  );
}
