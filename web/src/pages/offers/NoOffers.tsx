import { Button } from '@mantine/core';
import { Link } from 'react-router';
import { useProviders } from '../../api/offers';
import { useMe } from '../../api/session';
import { CodeBlock } from '../../parts/Copy';
import { EmptyState } from '../../parts/EmptyState';
import { useUnavailableProviders } from '../../parts/ProviderNotice';
import { PageSkeleton } from '../../parts/Skeletons';

interface Props {
  /** The slugs of the providers in the filter; all providers without it. */
  of?: string[];
  filtered: boolean;
  clear: () => void;
}

/** The offers page without offers: why there are none, and what to do. */
export function NoOffers({ of, filtered, clear }: Props) {
  const down = useUnavailableProviders(of);
  const connected = useProviders().data;
  const names = down.map((p) => p.name).join(' and ');
  if (!connected) return <PageSkeleton />;
  if (connected.length === 0) return <NoProvider />;
  if (!filtered)
    return (
      <EmptyState title="No offers yet" api={{ path: '/api/v1/inventory/offers' }}>
        Offers appear when a provider is connected and its catalog is synced.
      </EmptyState>
    );
  return (
    <EmptyState
      title={
        down.length > 0
          ? `No offers match while ${names} ${down.length === 1 ? 'is' : 'are'} not responding`
          : 'No offers match'
      }
      action={
        <Button variant="default" onClick={clear}>
          Clear filters and include sold out
        </Button>
      }
    >
      No available machines match these filters. Sold-out capacity returns as other customers release it.
    </EmptyState>
  );
}

/** A new server: there are no offers until the operator connects a provider. */
function NoProvider() {
  const operator = useMe().data?.user.operator;
  if (!operator)
    return (
      <EmptyState title="No provider connected yet">
        Offers appear here when the operator of this server has connected a provider.
      </EmptyState>
    );
  return (
    <EmptyState
      title="No provider connected yet"
      action={
        <Button component={Link} to="/operator/providers" variant="default">
          View providers
        </Button>
      }
    >
      Offers come from providers. Add one under Operator → Providers, or with its API key on the server's machine. The
      command <code>billetd provider kinds</code> lists the providers that can be connected.
      <CodeBlock
        value="billetd provider add voltage-park --api-key-stdin < voltage-park.key"
        label="command that connects a provider"
      />
      To try Billet without a provider, start the server with <code>--sim</code>.
    </EmptyState>
  );
}
