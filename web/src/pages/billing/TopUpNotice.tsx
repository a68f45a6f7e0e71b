import { Alert, Button } from '@mantine/core';
import { useSearchParams } from 'react-router';
import { type TopUp, useTopUp } from '../../api/billing';
import { Money } from '../../parts/Money';

/** The state of the payment that the user returns from. Its top-up is in the URL. */
export function TopUpNotice() {
  const [params, setParams] = useSearchParams();
  const id = params.get('topUp');
  const topUp = useTopUp(id).data;
  if (!id || !topUp) return null;
  const close = () =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        next.delete('topUp');
        return next;
      },
      { replace: true },
    );
  const { color, title } = titles[topUp.status];
  return (
    <Alert color={color} variant="outline" mb="md" title={title} role="status">
      <Text of={topUp} />
      {topUp.status !== 'pending' && (
        <Button size="compact-sm" variant="default" ml="sm" onClick={close}>
          Dismiss
        </Button>
      )}
    </Alert>
  );
}

const titles: Record<TopUp['status'], { color: string; title: string }> = {
  pending: { color: 'amber', title: 'Payment pending' },
  succeeded: { color: 'green', title: 'Payment received' },
  failed: { color: 'red', title: 'Payment failed' },
  expired: { color: 'red', title: 'Payment expired' },
  refunded: { color: 'amber', title: 'Payment refunded' },
  disputed: { color: 'red', title: 'Payment disputed' },
};

function Text({ of: t }: { of: TopUp }) {
  switch (t.status) {
    case 'succeeded':
      return (
        <>
          <Money usd={t.received} /> was added to the wallet.
        </>
      );
    case 'pending':
      return (
        <>
          The top-up of <Money usd={t.amount} /> has not been confirmed yet.{' '}
          {t.checkoutUrl ? (
            <a className="link" href={t.checkoutUrl}>
              Open the payment page
            </a>
          ) : (
            'The payment page is being prepared.'
          )}
        </>
      );
    case 'failed':
      return <>{t.failureMessage ?? 'The payment was not made.'} No money was added to the wallet.</>;
    case 'expired':
      return <>The payment page has closed. No money was added to the wallet. Top up again.</>;
    case 'refunded':
      return (
        <>
          <Money usd={t.refunded} /> was refunded.
        </>
      );
    case 'disputed':
      return (
        <>
          Your bank has asked for <Money usd={t.disputed} /> back. Contact the operator.
        </>
      );
  }
}
