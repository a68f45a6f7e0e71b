import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link, NavLink } from 'react-router';
import { useMe } from '../../api/session';
import { useSite } from '../../api/site';
import { Logo } from '../../app/Logo';
import { PageHead } from '../../parts/PageHead';
import { SiteLinks } from '../../parts/SiteLinks';
import './public.css';

interface Props {
  title: string;
  about: string;
  children: ReactNode;
}

/** The frame of the pages that anyone can read. */
export function PublicPage({ title, about, children }: Props) {
  const site = useSite();
  const me = useMe().data;
  return (
    <div className="public">
      <header className="public-head">
        <Link to="/" className="public-home">
          <Logo />
        </Link>
        <nav aria-label="Public pages">
          {site?.publicPages.prices && <NavLink to="/prices">Prices</NavLink>}
          {site?.publicPages.status && <NavLink to="/status">Status</NavLink>}
        </nav>
        <Button component={Link} to={me ? '/' : '/sign-in'} variant="default" size="compact-md">
          {me ? 'Open dashboard' : 'Sign in'}
        </Button>
      </header>
      <main className="page public-main">
        <PageHead title={title}>{about}</PageHead>
        {children}
      </main>
      <footer className="public-foot small dim">
        <SiteLinks />
      </footer>
    </div>
  );
}
