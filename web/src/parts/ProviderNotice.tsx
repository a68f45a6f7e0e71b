import { type ProviderHealth, useProviders } from '../api/offers';
import { useCan } from '../api/session';
import { Ago } from './Time';

interface Props {
  /** Slugs of the providers that what is shown comes from; all where it is left out. */
  of?: string[];
  /** What the outage means for what is shown. */
  meaning: string;
}

/** The providers that do not answer, of those named or of all. */
export function useSilentProviders(of?: string[]): ProviderHealth[] {
  const can = useCan();
  const providers = useProviders(can('offers:read')).data ?? [];
  return providers.filter((p) => p.status !== 'up' && (!of || of.includes(p.slug)));
}

/** Says which of the providers do not answer, and what that means here; nothing while all do. */
export function ProviderNotice({ of, meaning }: Props) {
  const silent = useSilentProviders(of);
  if (silent.length === 0) return null;
  return (
    <div className="notice" role="status">
      {silent.map((p) => (
        <div key={p.slug}>
          <Silence of={p} />
        </div>
      ))}
      <div>{meaning}</div>
    </div>
  );
}

function Silence({ of: p }: { of: ProviderHealth }) {
  return (
    <>
      <b>{p.name} is not answering.</b>{' '}
      {p.asOf ? (
        <>
          Last answer: <Ago at={p.asOf} />.
        </>
      ) : (
        'It has not answered since this server was set up.'
      )}
    </>
  );
}
