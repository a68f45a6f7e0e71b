import { useAll, useGet } from '../../api/hooks';
import { useOperatorProviders } from '../../api/operator';
import { setupPath } from '../../api/queries';
import { useMe } from '../../api/session';
import { useSettings } from '../../api/settings';

export type StepState = 'done' | 'todo' | 'optional';

export interface StepInfo {
  id: string;
  title: string;
  state: StepState;
}

/**
 * The steps after the first operator, each with what the state of the server says about it. No
 * progress is stored, so none can be wrong.
 */
export function useSteps() {
  const user = useMe().data?.user;
  const setup = useGet(setupPath);
  const settings = useSettings();
  const providers = useOperatorProviders();
  const rules = useAll('/api/v1/operator/price-rules');
  const now = settings.data?.value;
  const priced = providers.data?.some((p) => p.markupPercent) || rules.data?.length;
  const list: StepInfo[] = [
    { id: 'second-factor', title: 'Second factor', state: user?.totp || user?.passkeys ? 'done' : 'todo' },
    { id: 'installation', title: 'Name and public URL', state: setup.data?.publicUrl ? 'done' : 'todo' },
    { id: 'mail', title: 'Mail server', state: now?.mail.configured ? 'done' : 'todo' },
    { id: 'provider', title: 'First provider', state: providers.data?.length ? 'done' : 'todo' },
    { id: 'price', title: 'Prices', state: priced ? 'done' : 'optional' },
    { id: 'sign-up', title: 'Sign-up', state: now && now.signUp.policy !== 'closed' ? 'done' : 'optional' },
  ];
  return {
    list,
    ready: !!(user && setup.data && now && providers.data),
    error: setup.error ?? settings.error ?? providers.error,
  };
}
