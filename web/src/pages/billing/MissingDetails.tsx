import { Alert } from '@mantine/core';
import { Link } from 'react-router';
import { useBillingDetails } from '../../api/billing';
import { useCan } from '../../api/session';

/**
 * What the account's next invoice should have and is not set. On pages other than the one that sets
 * it, what only companies have is no warning by itself: a private buyer could not end it.
 */
export function MissingDetails({ link = false }: { link?: boolean }) {
  const write = useCan()('wallet:write');
  const missing = useBillingDetails().data?.missing ?? [];
  if (missing.length === 0 || (link && missing.every((m) => !m.required))) return null;
  return (
    <Alert color="amber" variant="outline" mb="md" title="Billing details missing" role="status">
      The next invoice should have more details of the buyer, and cannot be changed once it is issued.
      <ul>
        {missing.map((m) => (
          <li key={m.field}>{m.message}</li>
        ))}
      </ul>
      {link && write && (
        <Link className="link" to="/billing">
          Set billing details
        </Link>
      )}
    </Alert>
  );
}
