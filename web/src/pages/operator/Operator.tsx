import { Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ComponentType } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { issuesPage, serviceCreditsPage, useSimulator } from '../../api/operator';
import { PageHead } from '../../parts/PageHead';
import { Accounts } from './Accounts';
import { Adjustments } from './Adjustments';
import { AllDeployments } from './AllDeployments';
import { AllVolumes } from './AllVolumes';
import { Announcements } from './Announcements';
import { AllInvoices } from './billing/AllInvoices';
import { AllTopUps } from './billing/AllTopUps';
import { BillingSettings } from './billing/BillingSettings';
import { Issues } from './Issues';
import { Jobs } from './Jobs';
import { Machines } from './Machines';
import { Mails } from './Mails';
import { Margins } from './Margins';
import './operator.css';
import { PriceRules } from './PriceRules';
import { PromoCodes } from './PromoCodes';
import { Providers } from './Providers';
import { ServiceCredits } from './ServiceCredits';
import { Simulator } from './Simulator';
import { Settings } from './settings/Settings';

interface Page {
  /** What follows /operator/ in its address. */
  value: string;
  text: string;
  Page: ComponentType;
}

/** Every page of the operator, in areas of which one is shown at a time. */
const areas: { name: string; pages: Page[] }[] = [
  {
    name: 'Business',
    pages: [
      { value: 'accounts', text: 'Accounts', Page: Accounts },
      { value: 'top-ups', text: 'Top-ups', Page: AllTopUps },
      { value: 'invoices', text: 'Invoices', Page: AllInvoices },
      { value: 'adjustments', text: 'Adjustments', Page: Adjustments },
      { value: 'service-credits', text: 'Service credits', Page: ServiceCredits },
      { value: 'promo-codes', text: 'Promo codes', Page: PromoCodes },
      { value: 'margins', text: 'Margins', Page: Margins },
    ],
  },
  {
    name: 'Supply',
    pages: [
      { value: 'providers', text: 'Providers', Page: Providers },
      { value: 'machines', text: 'Machines', Page: Machines },
      { value: 'price-rules', text: 'Price rules', Page: PriceRules },
    ],
  },
  {
    name: 'Operations',
    pages: [
      { value: 'issues', text: 'Issues', Page: Issues },
      { value: 'deployments', text: 'Deployments', Page: AllDeployments },
      { value: 'volumes', text: 'Volumes', Page: AllVolumes },
      { value: 'jobs', text: 'Failing jobs', Page: Jobs },
      { value: 'announcements', text: 'Announcements', Page: Announcements },
      { value: 'mails', text: 'Emails', Page: Mails },
    ],
  },
  {
    name: 'Settings',
    pages: [
      { value: 'settings', text: 'Settings', Page: Settings },
      { value: 'billing', text: 'Billing settings', Page: BillingSettings },
      { value: 'simulator', text: 'Simulator', Page: Simulator },
    ],
  },
];

const pathOf = (value: string) => (value === 'accounts' ? '/operator' : `/operator/${value}`);

export default function Operator() {
  const { tab = 'accounts' } = useParams();
  const navigate = useNavigate();
  const simulator = useSimulator();
  const open = useQuery(issuesPage({ state: 'open', page: 1, limit: 100 })).data?.pagination.total ?? 0;
  const proposed = useQuery(serviceCreditsPage({ state: 'proposed', page: 1, limit: 100 })).data?.pagination.total ?? 0;
  const waiting: Record<string, number> = { issues: open, 'service-credits': proposed };
  const shown = areas.map((a) => ({
    ...a,
    pages: a.pages.filter((p) => p.value !== 'simulator' || simulator.data),
    // What waits for a decision is seen from every area.
    waiting: a.pages.reduce((sum, p) => sum + (waiting[p.value] ?? 0), 0),
  }));
  const area = shown.find((a) => a.pages.some((p) => p.value === tab)) ?? shown[0];
  return (
    <>
      <PageHead title="Operator console">
        Manage accounts, their resources and money, providers, emails and settings.
      </PageHead>
      <nav aria-label="Operator console" className="operator-areas">
        {shown.map((a) => (
          <Link
            key={a.name}
            to={pathOf(a.pages[0]?.value ?? '')}
            className="operator-area"
            aria-current={a === area ? 'true' : undefined}
          >
            {a.name}
            {a.waiting > 0 && (
              <span className="nav-count">
                {a.waiting}
                <span className="sr"> to decide</span>
              </span>
            )}
          </Link>
        ))}
      </nav>
      <Tabs value={tab} onChange={(t) => t && navigate(pathOf(t), { replace: true })} keepMounted={false}>
        <Tabs.List aria-label={area?.name}>
          {area?.pages.map((p) => (
            <Tabs.Tab key={p.value} value={p.value}>
              {p.text}
              {waiting[p.value] ? ` (${waiting[p.value]})` : ''}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <div style={{ marginTop: 16 }}>
          {area?.pages.map((p) => (
            <Tabs.Panel key={p.value} value={p.value}>
              <p.Page />
            </Tabs.Panel>
          ))}
        </div>
      </Tabs>
    </>
  );
}
