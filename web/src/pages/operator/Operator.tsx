import { Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from 'react-router';
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
import { PriceRules } from './PriceRules';
import { PromoCodes } from './PromoCodes';
import { Providers } from './Providers';
import { ServiceCredits } from './ServiceCredits';
import { Simulator } from './Simulator';
import { Settings } from './settings/Settings';

export default function Operator() {
  const { tab = 'accounts' } = useParams();
  const navigate = useNavigate();
  const simulator = useSimulator();
  const open = useQuery(issuesPage({ state: 'open', page: 1, limit: 100 })).data?.pagination.total ?? 0;
  const proposed = useQuery(serviceCreditsPage({ state: 'proposed', page: 1, limit: 100 })).data?.pagination.total ?? 0;
  return (
    <>
      <PageHead title="Operator console">
        Manage accounts, their resources and money, providers, emails and settings.
      </PageHead>
      <Tabs
        value={tab}
        onChange={(t) => navigate(t === 'accounts' ? '/operator' : `/operator/${t}`, { replace: true })}
        keepMounted={false}
      >
        <Tabs.List>
          <Tabs.Tab value="accounts">Accounts</Tabs.Tab>
          <Tabs.Tab value="adjustments">Adjustments</Tabs.Tab>
          <Tabs.Tab value="service-credits">Service credits{proposed > 0 ? ` (${proposed})` : ''}</Tabs.Tab>
          <Tabs.Tab value="promo-codes">Promo codes</Tabs.Tab>
          <Tabs.Tab value="deployments">Deployments</Tabs.Tab>
          <Tabs.Tab value="volumes">Volumes</Tabs.Tab>
          <Tabs.Tab value="providers">Providers</Tabs.Tab>
          <Tabs.Tab value="machines">Machines</Tabs.Tab>
          <Tabs.Tab value="price-rules">Price rules</Tabs.Tab>
          <Tabs.Tab value="top-ups">Top-ups</Tabs.Tab>
          <Tabs.Tab value="invoices">Invoices</Tabs.Tab>
          <Tabs.Tab value="billing">Billing settings</Tabs.Tab>
          <Tabs.Tab value="issues">Issues{open > 0 ? ` (${open})` : ''}</Tabs.Tab>
          <Tabs.Tab value="jobs">Failing jobs</Tabs.Tab>
          <Tabs.Tab value="margins">Margins</Tabs.Tab>
          <Tabs.Tab value="announcements">Announcements</Tabs.Tab>
          <Tabs.Tab value="mails">Emails</Tabs.Tab>
          <Tabs.Tab value="settings">Settings</Tabs.Tab>
          {simulator.data && <Tabs.Tab value="simulator">Simulator</Tabs.Tab>}
        </Tabs.List>
        <div style={{ marginTop: 16 }}>
          <Tabs.Panel value="accounts">
            <Accounts />
          </Tabs.Panel>
          <Tabs.Panel value="adjustments">
            <Adjustments />
          </Tabs.Panel>
          <Tabs.Panel value="service-credits">
            <ServiceCredits />
          </Tabs.Panel>
          <Tabs.Panel value="promo-codes">
            <PromoCodes />
          </Tabs.Panel>
          <Tabs.Panel value="deployments">
            <AllDeployments />
          </Tabs.Panel>
          <Tabs.Panel value="volumes">
            <AllVolumes />
          </Tabs.Panel>
          <Tabs.Panel value="providers">
            <Providers />
          </Tabs.Panel>
          <Tabs.Panel value="machines">
            <Machines />
          </Tabs.Panel>
          <Tabs.Panel value="price-rules">
            <PriceRules />
          </Tabs.Panel>
          <Tabs.Panel value="top-ups">
            <AllTopUps />
          </Tabs.Panel>
          <Tabs.Panel value="invoices">
            <AllInvoices />
          </Tabs.Panel>
          <Tabs.Panel value="billing">
            <BillingSettings />
          </Tabs.Panel>
          <Tabs.Panel value="issues">
            <Issues />
          </Tabs.Panel>
          <Tabs.Panel value="jobs">
            <Jobs />
          </Tabs.Panel>
          <Tabs.Panel value="announcements">
            <Announcements />
          </Tabs.Panel>
          <Tabs.Panel value="margins">
            <Margins />
          </Tabs.Panel>
          <Tabs.Panel value="mails">
            <Mails />
          </Tabs.Panel>
          <Tabs.Panel value="settings">
            <Settings />
          </Tabs.Panel>
          {simulator.data && (
            <Tabs.Panel value="simulator">
              <Simulator />
            </Tabs.Panel>
          )}
        </div>
      </Tabs>
    </>
  );
}
