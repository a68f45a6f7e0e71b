import { Tabs } from '@mantine/core';
import { lazy, Suspense } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { type Deployment, hasEnded, useDeployment } from '../../api/deployments';
import { useRegionName } from '../../api/offers';
import { useCan } from '../../api/session';
import { BackIcon } from '../../app/icons';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageHead } from '../../parts/PageHead';
import { ProviderNotice } from '../../parts/ProviderNotice';
import { PageSkeleton } from '../../parts/Skeletons';
import { Status } from '../../parts/Status';
import { Actions } from './Actions';
import './deployments.css';
import { Events } from './Events';
import { Overview } from './Overview';
import { Settings } from './Settings';

// xterm and the SSH client are large, and load with the terminal only.
const Terminal = lazy(() => import('./terminal/Terminal'));
const Console = lazy(() => import('./terminal/Console'));

/** The serial console is there as soon as something is installed, whether SSH answers or not. */
const hasConsole = (d: Deployment) =>
  d.capabilities.console && (d.status === 'deploying' || d.status === 'running' || d.status === 'stopped');

export default function Detail() {
  const { id = '', tab = 'overview' } = useParams();
  const deployment = useDeployment(id);
  const navigate = useNavigate();
  const can = useCan();
  const d = deployment.data;
  if (!d)
    return deployment.isError ? (
      <>
        <PageHead title="Deployment" />
        <ErrorBox error={deployment.error} retry={() => void deployment.refetch()} />
      </>
    ) : (
      <PageSkeleton />
    );
  const write = can('deployments:write');
  return (
    <>
      <PageHead
        title={d.name}
        before={
          <Link to="/deployments" className="link small">
            <BackIcon width={12} height={12} /> Deployments
          </Link>
        }
        actions={write && !hasEnded(d) && <Actions of={d} />}
      >
        <Status value={d.status} live /> <Subtitle of={d} />
      </PageHead>
      {!hasEnded(d) && <ProviderNotice of={[d.provider]} meaning={outage(d)} />}
      <Tabs
        value={tab}
        onChange={(t) =>
          navigate(t === 'overview' ? `/deployments/${id}` : `/deployments/${id}/${t}`, { replace: true })
        }
        keepMounted={false}
      >
        <Tabs.List>
          <Tabs.Tab value="overview">Overview</Tabs.Tab>
          {write && !hasEnded(d) && (
            <Tabs.Tab value="terminal" disabled={d.status !== 'running'}>
              Terminal
            </Tabs.Tab>
          )}
          {write && !hasEnded(d) && d.capabilities.console && (
            <Tabs.Tab value="console" disabled={!hasConsole(d)}>
              Console
            </Tabs.Tab>
          )}
          <Tabs.Tab value="events">Events</Tabs.Tab>
          {write && !hasEnded(d) && <Tabs.Tab value="settings">Settings</Tabs.Tab>}
        </Tabs.List>
        <Tabs.Panel value="overview">
          <Overview of={d} />
        </Tabs.Panel>
        <Tabs.Panel value="terminal">
          {d.status === 'running' && (
            <Suspense fallback={<PageSkeleton />}>
              <Terminal of={d} />
            </Suspense>
          )}
        </Tabs.Panel>
        <Tabs.Panel value="console">
          {write && hasConsole(d) ? (
            <Suspense fallback={<PageSkeleton />}>
              <Console of={d} />
            </Suspense>
          ) : (
            <p className="dim">{noConsole(d, write)}</p>
          )}
        </Tabs.Panel>
        <Tabs.Panel value="events">
          <Events id={d.id} />
        </Tabs.Panel>
        <Tabs.Panel value="settings">
          <Settings of={d} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

/** Why the serial console cannot be opened: a link or the back button can lead to its tab. */
function noConsole(d: Deployment, write: boolean): string {
  if (!d.capabilities.console) return 'This machine has no serial console. The offer’s features say which have one.';
  if (hasEnded(d) || d.status === 'terminating') return 'The serial console was available until the deployment ended.';
  if (!write) return 'Your role may not open the serial console.';
  return 'The serial console is available once the machine is being installed.';
}

/** What the outage of its provider means for a deployment. */
function outage(d: Deployment): string {
  switch (d.status) {
    case 'pending':
    case 'deploying':
      return "Deploying continues when the provider responds. You aren't charged until SSH is reachable.";
    case 'terminating':
      return "The termination is confirmed when the provider responds. You aren't charged for the wait.";
    default:
      return (
        'The machine may be running: try SSH. Its status may be outdated. ' +
        'A reboot or termination takes effect when the provider responds.'
      );
  }
}

function Subtitle({ of: d }: { of: Deployment }) {
  const region = useRegionName()(d.region);
  return (
    <>
      {' '}
      {d.gpuCount} × {d.gpuType} · {region} · {d.provider} · {d.operatingSystem}
    </>
  );
}
