import { Button } from '@mantine/core';
import { Link } from 'react-router';
import { useMe } from '../api/session';
import { PageHead } from '../parts/PageHead';

function GoHome() {
  return (
    <Button component={Link} to="/" variant="default">
      Go home
    </Button>
  );
}

export function NotFound() {
  return (
    <>
      <PageHead title="Page not found">Check the URL. The page may have been removed.</PageHead>
      <GoHome />
    </>
  );
}

/** Shown where the user's role lacks the scope of a page. */
export function NoScope({ scope }: { scope: string }) {
  const me = useMe().data;
  return (
    <>
      <PageHead title="No access to this page">
        Your role in {me?.account.name} is {me?.role}. This page needs the scope {scope}. An owner or admin can change
        your role under Settings → Team.
      </PageHead>
      <GoHome />
    </>
  );
}
