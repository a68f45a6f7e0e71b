import type { ComponentType, SVGProps } from 'react';
import { NavLink } from 'react-router';
import { type Scope, useCan, useMe } from '../api/session';
import { useWallet } from '../api/wallet';
import {
  BillingIcon,
  BudgetIcon,
  CodeIcon,
  DeploymentsIcon,
  ImageIcon,
  KeyIcon,
  LogIcon,
  OffersIcon,
  OperatorIcon,
  OverviewIcon,
  ShieldIcon,
  TeamIcon,
  VolumesIcon,
  WalletIcon,
  WebhookIcon,
} from './icons';
import { pages } from './pages';

interface Item {
  to: string;
  text: string;
  icon: ComponentType<SVGProps<SVGSVGElement>>;
  page: keyof typeof pages;
  scope?: Scope;
}

const main: Item[] = [
  { to: '/overview', text: 'Overview', icon: OverviewIcon, page: 'overview' },
  { to: '/offers', text: 'Offers', icon: OffersIcon, page: 'offers', scope: 'offers:read' },
  { to: '/deployments', text: 'Deployments', icon: DeploymentsIcon, page: 'deployments', scope: 'deployments:read' },
  { to: '/volumes', text: 'Volumes', icon: VolumesIcon, page: 'volumes', scope: 'volumes:read' },
  { to: '/images', text: 'Images', icon: ImageIcon, page: 'images', scope: 'deployments:read' },
  { to: '/ssh-keys', text: 'SSH keys', icon: KeyIcon, page: 'sshKeys', scope: 'ssh-keys:read' },
  { to: '/wallet', text: 'Wallet', icon: WalletIcon, page: 'wallet', scope: 'wallet:read' },
  { to: '/billing', text: 'Billing', icon: BillingIcon, page: 'billing', scope: 'wallet:read' },
  { to: '/budgets', text: 'Budgets', icon: BudgetIcon, page: 'budgets', scope: 'wallet:read' },
];

const settings: Item[] = [
  { to: '/settings/api-keys', text: 'API keys', icon: CodeIcon, page: 'apiKeys', scope: 'api-keys:read' },
  { to: '/settings/webhooks', text: 'Webhooks', icon: WebhookIcon, page: 'webhooks', scope: 'webhooks:read' },
  { to: '/settings/members', text: 'Team', icon: TeamIcon, page: 'team', scope: 'members:read' },
  { to: '/settings/profile', text: 'Profile & security', icon: ShieldIcon, page: 'profile' },
  { to: '/settings/audit', text: 'Audit log', icon: LogIcon, page: 'audit', scope: 'audit:read' },
];

const operator: Item[] = [{ to: '/operator', text: 'Operator', icon: OperatorIcon, page: 'operator' }];

/** Links to the pages that the user's role gives access to. */
export function Nav({ onChoose }: { onChoose?: () => void }) {
  const can = useCan();
  const me = useMe().data;
  const running = useWallet(can('wallet:read')).data?.activeDeployments.length ?? 0;
  const list = (items: Item[]) => (
    <ul className="nav-list">
      {items
        .filter((i) => (i.scope ? can(i.scope) : i.page !== 'profile' || !me?.view))
        .map((i) => (
          <li key={i.to}>
            <NavLink
              to={i.to}
              className="nav-link"
              onClick={onChoose}
              onMouseEnter={() => void pages[i.page].load()}
              onFocus={() => void pages[i.page].load()}
            >
              <i.icon />
              {i.text}
              {i.to === '/deployments' && running > 0 && (
                <span className="nav-count">
                  {running}
                  <span className="sr"> running</span>
                </span>
              )}
            </NavLink>
          </li>
        ))}
    </ul>
  );
  return (
    <nav aria-label="Main">
      {list(main)}
      <div className="nav-group">Settings</div>
      {list(settings)}
      {me?.user.operator && (
        <>
          <div className="nav-group">Administration</div>
          {list(operator)}
        </>
      )}
    </nav>
  );
}
