import { Button } from '@mantine/core';
import { Link } from 'react-router';
import { useMe } from '../api/session';
import { PageHead } from '../parts/PageHead';

export function NotFound() {
  return (
    <>
      <PageHead title="There is no such page">
        The address may be mistyped, or what it showed has been removed.
      </PageHead>
      <Button component={Link} to="/" variant="default">
        To the start
      </Button>
    </>
  );
}

/** A page that the user's role does not open: says which role they have, and who can change that. */
export function NoScope({ scope }: { scope: string }) {
  const me = useMe().data;
  return (
    <>
      <PageHead title="Your role does not open this page">
        You are {article(me?.role)} of {me?.account.name}; this page needs the scope {scope}. An owner or admin of the
        account can change your role under Settings → People.
      </PageHead>
      <Button component={Link} to="/" variant="default">
        To the start
      </Button>
    </>
  );
}

function article(role = 'member'): string {
  return /^[aeiou]/.test(role) ? `an ${role}` : `a ${role}`;
}
