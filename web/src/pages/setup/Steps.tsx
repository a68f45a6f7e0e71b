import { Button, Group } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { Link } from 'react-router';
import type { Schema } from '../../api/client';
import { useGet } from '../../api/hooks';
import { useOperatorProviders } from '../../api/operator';
import { setupPath } from '../../api/queries';
import { useMe } from '../../api/session';
import { useSettings } from '../../api/settings';
import { CodeBlock } from '../../parts/Copy';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatPercent } from '../../parts/locale';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { Chip, Status } from '../../parts/Status';
import { ProviderCheck } from '../operator/ProviderCheckDialog';
import { ProviderDialog } from '../operator/ProviderDialog';
import { ProviderKeyDialog } from '../operator/ProviderKeyDialog';
import { ProviderMarkupDialog } from '../operator/ProviderMarkupDialog';
import { InstallationForm } from '../operator/settings/InstallationForm';
import { MailForm } from '../operator/settings/MailForm';
import { SignUpForm } from '../operator/settings/SignUpForm';
import { useUnsaved } from '../operator/settings/useUnsaved';
import { Passkeys } from '../settings/Passkeys';
import { Totp } from '../settings/Totp';
import '../settings/settings.css';
import './setup.css';
import { type StepState, useSteps } from './steps';

type Provider = Schema['OperatorProvider'];

/** What an operator sets up after the first sign-in. What is done shows in the state itself. */
export default function Steps() {
  const me = useMe().data;
  const track = useUnsaved();
  const steps = useSteps();
  if (!me) return null;
  const left = steps.list.filter((s) => s.state === 'todo').length;
  return (
    <>
      <PageHead title="Set up this server">
        {!steps.ready
          ? 'Loading setup steps.'
          : left === 0
            ? 'Everything is set up. You can change each step here or in the operator console.'
            : `${left} ${left === 1 ? 'step is' : 'steps are'} left. Each can be done now or later.`}
      </PageHead>
      <div className="stack setup-steps">
        <ErrorBox error={steps.error} />
        <nav aria-label="Steps">
          <ol className="setup-list">
            {steps.list.map((s) => (
              <li key={s.id}>
                <a href={`#${s.id}`} className="link">
                  {s.title}
                </a>{' '}
                <State of={s.state} />
              </li>
            ))}
          </ol>
        </nav>
        <Step id="second-factor" of={steps}>
          <p className="dim">
            Anyone with your password could terminate every machine and change every price. Protect your sign-in with an
            authenticator app or a passkey.
          </p>
          <Totp on={me.user.totp} email={me.user.email} />
          <Passkeys />
        </Step>
        <Step id="installation" of={steps}>
          <InstallationForm track={track} first />
          <PublicUrl />
        </Step>
        <Step id="mail" of={steps}>
          <p className="dim">
            Billet sends email to confirm addresses, invite users, reset passwords and warn of low balances. Without a
            mail server, no email is sent and users cannot sign up.
          </p>
          <MailForm track={track} />
        </Step>
        <Step id="provider" of={steps}>
          <FirstProvider />
        </Step>
        <Step id="price" of={steps}>
          <Prices />
        </Step>
        <Step id="sign-up" of={steps}>
          <SignUpForm track={track} />
        </Step>
        <Next />
      </div>
    </>
  );
}

function State({ of }: { of: StepState }) {
  if (of === 'done') return <Chip tone="good">done</Chip>;
  return of === 'todo' ? <Chip tone="warn">to do</Chip> : <Chip>optional</Chip>;
}

function Step({ id, of: steps, children }: { id: string; of: ReturnType<typeof useSteps>; children: ReactNode }) {
  const step = steps.list.find((s) => s.id === id);
  if (!step) return null;
  return (
    <div id={id} className="setup-step">
      <Panel
        title={
          <>
            {step.title} {steps.ready && <State of={step.state} />}
          </>
        }
      >
        {children}
      </Panel>
    </div>
  );
}

/** The URL that the server puts into links. A flag sets it, so it is shown and checked only. */
function PublicUrl() {
  const state = useGet(setupPath).data;
  if (!state) return null;
  const here = location.origin;
  return (
    <div className="stack">
      <div>
        <div className="field-label">Public URL</div>
        {state.publicUrl ? (
          <p>
            <code>{state.publicUrl}</code>{' '}
            {state.publicUrl === here ? <Chip tone="good">as in this browser</Chip> : <Chip tone="warn">differs</Chip>}
          </p>
        ) : (
          <p>
            <Chip tone="warn">not set</Chip>
          </p>
        )}
        <p className="dim">
          {state.publicUrl === here
            ? 'Links in emails, passkeys and cookies use it.'
            : state.publicUrl
              ? `You have opened the server at ${here}. Links in emails use the public URL: check that it leads here.`
              : 'Without it, emails have no links, users cannot sign up, and passkeys work only here.'}{' '}
          To change it, restart the server with another flag or variable:
        </p>
      </div>
      <CodeBlock
        value={[
          `billetd serve --public-url ${here}`,
          '# or, for the service, in /etc/billet/billetd.env:',
          `BILLET_PUBLIC_URL=${here}`,
        ].join('\n')}
        label="command"
      />
    </div>
  );
}

function FirstProvider() {
  const providers = useOperatorProviders();
  const [adding, setAdding] = useState(false);
  const [checked, setChecked] = useState<string | null>(null);
  // Raised by each click, so that the check begins again.
  const [round, setRound] = useState(0);
  const [keyOf, setKeyOf] = useState<Provider | null>(null);
  return (
    <div className="stack">
      <p className="dim">
        Machines come from clouds where you have an account. API keys are encrypted. Changes take effect within seconds.
      </p>
      <ErrorBox error={providers.error} />
      {providers.data && providers.data.length > 0 && (
        <ul className="setup-providers">
          {providers.data.map((p) => (
            <li key={p.slug}>
              <div className="card-row">
                <span>
                  <b>{p.name}</b> <Status value={p.status} live />{' '}
                  <span className="dim">
                    {p.available} of {p.offers} offers available
                  </span>
                </span>
                {p.stored && (
                  <Group gap="xs">
                    <Button
                      size="compact-sm"
                      variant="default"
                      onClick={() => {
                        setChecked(p.slug);
                        setRound((n) => n + 1);
                      }}
                    >
                      Check {p.name}
                    </Button>
                    <Button size="compact-sm" variant="subtle" color="gray" onClick={() => setKeyOf(p)}>
                      Replace API key
                    </Button>
                  </Group>
                )}
              </div>
              {p.lastError && (
                <p className="small dim" style={{ overflowWrap: 'anywhere' }}>
                  {p.lastError}
                </p>
              )}
              {checked === p.slug && <ProviderCheck key={round} slug={p.slug} name={p.name} />}
            </li>
          ))}
        </ul>
      )}
      <Group gap="xs">
        <Button variant={providers.data?.length ? 'default' : 'filled'} onClick={() => setAdding(true)}>
          Add provider
        </Button>
        {!!providers.data?.length && (
          <Button component={Link} to="/operator/providers" variant="subtle" color="gray">
            Manage providers
          </Button>
        )}
      </Group>
      {keyOf && <ProviderKeyDialog slug={keyOf.slug} name={keyOf.name} onClose={() => setKeyOf(null)} />}
      {adding && <ProviderDialog onAdded={setChecked} onClose={() => setAdding(false)} />}
    </div>
  );
}

function Prices() {
  const providers = useOperatorProviders().data ?? [];
  const [pricing, setPricing] = useState<Provider | null>(null);
  return (
    <div className="stack">
      <p className="dim">
        Tenants pay the provider’s price plus your markup. Without a markup you sell at cost.{' '}
        <Link to="/operator/price-rules">Price rules</Link> set other prices by provider, GPU, region or account.
      </p>
      {providers.length === 0 && <p>Add a provider first.</p>}
      <ul className="setup-providers">
        {providers.map((p) => (
          <li key={p.slug} className="card-row">
            <span>
              <b>{p.name}</b>{' '}
              <span className="dim">
                {p.markupPercent ? `Markup ${formatPercent(p.markupPercent)}` : 'No markup: sold at cost'}
                {p.stored && p.ownMarkupPercent === null && ' (default)'}
              </span>
            </span>
            {p.stored && (
              <Button size="compact-sm" variant="default" onClick={() => setPricing(p)}>
                Set markup of {p.name}
              </Button>
            )}
          </li>
        ))}
      </ul>
      {pricing && <ProviderMarkupDialog of={pricing} onClose={() => setPricing(null)} />}
    </div>
  );
}

/** What to do after the setup. */
function Next() {
  const policy = useSettings().data?.value.signUp.policy;
  return (
    <Panel title="What to do next">
      <ul className="setup-next">
        <li>
          <Link to="/offers">View your offers</Link> as a tenant sees them, with your prices.
        </li>
        <li>
          <Link to="/operator">Add credit to an account</Link>: deployments are paid by the hour from a prepaid balance.
        </li>
        <li>
          {policy === 'closed' ? (
            <>
              <Link to="/operator">Create an account</Link> for your first tenant, and a user with{' '}
              <code>billetd user create</code>.
            </>
          ) : (
            <>Send your users the address of this server. They create their account there.</>
          )}
        </li>
        <li>
          <Link to="/operator/issues">View issues</Link> and <Link to="/operator/jobs">failing jobs</Link> from time to
          time. Both should be empty.
        </li>
        <li>
          Back up the database and the secret key, as described in docs/install.md. Without the secret key, stored API
          keys cannot be read.
        </li>
      </ul>
    </Panel>
  );
}
