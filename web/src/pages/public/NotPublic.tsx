import { PublicPage } from './PublicPage';

/** A page that the operator has not made public. */
export function NotPublic({ title }: { title: string }) {
  return (
    <PublicPage title={title} about="This page is not public.">
      <p className="dim">Sign in to see your account's offers and prices.</p>
    </PublicPage>
  );
}
