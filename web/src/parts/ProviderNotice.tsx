import { type ProviderHealth, useProviders } from '../api/offers';
import { useCan } from '../api/session';
import { Ago } from './Time';

interface Props {
  /** The slugs of the providers on this page; all providers without it. */
  of?: string[];
  /** What the outage means for this page. */
  meaning: string;
}

/** The providers that do not respond, among those named or among all. */
export function useUnavailableProviders(of?: string[]): ProviderHealth[] {
  const can = useCan();
  const providers = useProviders(can('offers:read')).data ?? [];
  return providers.filter((p) => p.status !== 'up' && (!of || of.includes(p.slug)));
}

/**
 * Names the providers that do not respond, and what that means here. Renders nothing while all do.
 */
export function ProviderNotice({ of, meaning }: Props) {
  const down = useUnavailableProviders(of);
  if (down.length === 0) return null;
  return (
    <div className="notice" role="status">
      {down.map((p) => (
        <div key={p.slug}>
          <Outage of={p} />
        </div>
      ))}
      <div>{meaning}</div>
    </div>
  );
}

function Outage({ of: p }: { of: ProviderHealth }) {
  return (
    <>
      <b>{p.name} is not responding.</b>{' '}
      {p.asOf ? (
        <>
          Last response: <Ago at={p.asOf} />.
        </>
      ) : (
        'No response since this server was set up.'
      )}
    </>
  );
}
