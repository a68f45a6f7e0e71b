// Every page is a chunk of its own. Pointing at a link calls `load`, so that the page is there on
// the click.

import { type ComponentType, lazy } from 'react';

function page(load: () => Promise<{ default: ComponentType }>) {
  return { load, Page: lazy(load) };
}

export const pages = {
  signIn: page(() => import('../pages/sign-in/SignIn')),
  invite: page(() => import('../pages/sign-in/Invite')),
  signUp: page(() => import('../pages/sign-in/SignUp')),
  completeSignUp: page(() => import('../pages/sign-in/CompleteSignUp')),
  forgotPassword: page(() => import('../pages/sign-in/ForgotPassword')),
  resetPassword: page(() => import('../pages/sign-in/ResetPassword')),
  prices: page(() => import('../pages/public/Prices')),
  status: page(() => import('../pages/public/Status')),
  overview: page(() => import('../pages/overview/Overview')),
  offers: page(() => import('../pages/offers/Offers')),
  offer: page(() => import('../pages/offers/OfferDetail')),
  compare: page(() => import('../pages/offers/Compare')),
  deploy: page(() => import('../pages/deploy/Deploy')),
  deployments: page(() => import('../pages/deployments/Deployments')),
  deployment: page(() => import('../pages/deployments/Detail')),
  volumes: page(() => import('../pages/volumes/Volumes')),
  images: page(() => import('../pages/images/Images')),
  sshKeys: page(() => import('../pages/ssh-keys/SshKeys')),
  wallet: page(() => import('../pages/wallet/Wallet')),
  billing: page(() => import('../pages/billing/Billing')),
  budgets: page(() => import('../pages/budgets/Budgets')),
  apiKeys: page(() => import('../pages/settings/ApiKeys')),
  webhooks: page(() => import('../pages/settings/Webhooks')),
  device: page(() => import('../pages/device/AuthorizeDevice')),
  team: page(() => import('../pages/settings/Team')),
  profile: page(() => import('../pages/settings/Profile')),
  audit: page(() => import('../pages/settings/Audit')),
  setup: page(() => import('../pages/setup/Setup')),
  operatorSetup: page(() => import('../pages/setup/Steps')),
  operatorAccount: page(() => import('../pages/operator/Account')),
  operatorTopUp: page(() => import('../pages/operator/billing/TopUp')),
  operator: page(() => import('../pages/operator/Operator')),
};
