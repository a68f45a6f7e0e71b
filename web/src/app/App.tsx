import { type ComponentType, Suspense } from 'react';
import { Navigate, Outlet, Route, Routes, useLocation } from 'react-router';
import { type Scope, signedOutOnPurpose, useCan, useMe } from '../api/session';
import { ErrorBox } from '../parts/ErrorBox';
import { PageSkeleton } from '../parts/Skeletons';
import { Boot } from './Boot';
import { Boundary } from './Boundary';
import { NoScope, NotFound } from './NoPage';
import { pages } from './pages';
import { Shell } from './Shell';

export function App() {
  return (
    <Routes>
      <Route path="/sign-in" element={<Plain of={pages.signIn.Page} />} />
      <Route path="/setup" element={<Plain of={pages.setup.Page} />} />
      <Route path="/invite" element={<Plain of={pages.invite.Page} />} />
      <Route path="/sign-up" element={<Plain of={pages.signUp.Page} />} />
      <Route path="/sign-up/complete" element={<Plain of={pages.completeSignUp.Page} />} />
      <Route path="/forgot-password" element={<Plain of={pages.forgotPassword.Page} />} />
      <Route path="/reset-password" element={<Plain of={pages.resetPassword.Page} />} />
      <Route path="/prices" element={<Plain of={pages.prices.Page} />} />
      <Route path="/status" element={<Plain of={pages.status.Page} />} />
      <Route element={<SignedIn />}>
        <Route index element={<Navigate to="/overview" replace />} />
        <Route path="/overview" element={<pages.overview.Page />} />
        <Route element={<Needs scope="offers:read" />}>
          <Route path="/offers" element={<pages.offers.Page />} />
          <Route path="/offers/compare" element={<pages.compare.Page />} />
          <Route path="/offers/:offerId" element={<pages.offer.Page />} />
        </Route>
        <Route element={<Needs scope="deployments:write" />}>
          <Route path="/deploy/:offerId" element={<pages.deploy.Page />} />
          <Route path="/deploy" element={<Navigate to="/offers" replace />} />
        </Route>
        <Route element={<Needs scope="deployments:read" />}>
          <Route path="/deployments" element={<pages.deployments.Page />} />
          <Route path="/deployments/:id/:tab?" element={<pages.deployment.Page />} />
          <Route path="/images" element={<pages.images.Page />} />
        </Route>
        <Route element={<Needs scope="volumes:read" />}>
          <Route path="/volumes" element={<pages.volumes.Page />} />
        </Route>
        <Route element={<Needs scope="ssh-keys:read" />}>
          <Route path="/ssh-keys" element={<pages.sshKeys.Page />} />
        </Route>
        <Route element={<Needs scope="wallet:read" />}>
          <Route path="/wallet" element={<pages.wallet.Page />} />
          <Route path="/billing" element={<pages.billing.Page />} />
          <Route path="/budgets" element={<pages.budgets.Page />} />
        </Route>
        <Route path="/settings" element={<Navigate to="/settings/profile" replace />} />
        <Route path="/settings/profile" element={<pages.profile.Page />} />
        <Route element={<Needs scope="api-keys:read" />}>
          <Route path="/settings/api-keys" element={<pages.apiKeys.Page />} />
        </Route>
        <Route element={<Needs scope="webhooks:read" />}>
          <Route path="/settings/webhooks" element={<pages.webhooks.Page />} />
        </Route>
        <Route element={<Needs scope="api-keys:write" />}>
          <Route path="/device" element={<pages.device.Page />} />
        </Route>
        <Route element={<Needs scope="members:read" />}>
          <Route path="/settings/members" element={<pages.team.Page />} />
        </Route>
        <Route element={<Needs scope="audit:read" />}>
          <Route path="/settings/audit" element={<pages.audit.Page />} />
        </Route>
        <Route element={<NeedsOperator />}>
          <Route path="/operator/setup" element={<pages.operatorSetup.Page />} />
          <Route path="/operator/accounts/:id" element={<pages.operatorAccount.Page />} />
          <Route path="/operator/top-ups/:id" element={<pages.operatorTopUp.Page />} />
          <Route path="/operator/:tab?" element={<pages.operator.Page />} />
        </Route>
        <Route path="*" element={<NotFound />} />
      </Route>
    </Routes>
  );
}

function Plain({ of: Page }: { of: ComponentType }) {
  return (
    <Suspense fallback={<Boot />}>
      <Page />
    </Suspense>
  );
}

/** Without a session, sends the user to the sign-in page, which returns here. */
function SignedIn() {
  const me = useMe();
  const { pathname, search, hash } = useLocation();
  if (me.data === null) {
    const here = pathname + search + hash;
    return (
      <Navigate
        to={here === '/' || signedOutOnPurpose() ? '/sign-in' : `/sign-in?returnTo=${encodeURIComponent(here)}`}
        replace
      />
    );
  }
  if (!me.data) {
    if (!me.isError) return <Boot />;
    return (
      <main style={{ maxWidth: 520, margin: '15vh auto', padding: 16 }}>
        <ErrorBox error={me.error} retry={() => void me.refetch()} />
      </main>
    );
  }
  return (
    <Shell>
      <Boundary key={pathname.split('/').slice(0, 3).join('/')}>
        <Suspense fallback={<PageSkeleton />}>
          <Outlet />
        </Suspense>
      </Boundary>
    </Shell>
  );
}

function Needs({ scope }: { scope: Scope }) {
  return useCan()(scope) ? <Outlet /> : <NoScope scope={scope} />;
}

function NeedsOperator() {
  return useMe().data?.user.operator ? <Outlet /> : <NotFound />;
}
