import { Alert, Button } from '@mantine/core';
import { useSend } from '../../../api/hooks';
import { ErrorBox } from '../../../parts/ErrorBox';

/** Asks Stripe whether the stored key is accepted and may read what payments need. */
export function CheckPayments({ unsaved }: { unsaved: boolean }) {
  const check = useSend('post', '/api/v1/operator/settings/payments-check');
  return (
    <div className="stack">
      <div className="small dim">
        {unsaved
          ? 'Save your changes first: the check uses the stored key.'
          : 'The check only reads. Whether the key may create pages and refunds is known after a payment in test mode.'}
      </div>
      <div aria-live="polite">
        <ErrorBox error={check.error} />
        {check.data && (
          <Alert
            color={check.data.ok ? 'green' : 'red'}
            variant="outline"
            title={check.data.ok ? 'Stripe accepts the key' : 'The check failed'}
          >
            <span style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-line' }}>
              {check.data.ok
                ? `It is a key of ${check.data.live ? 'live mode: real money' : 'test mode: no money moves'}.`
                : check.data.message}
            </span>
          </Alert>
        )}
      </div>
      <div>
        <Button variant="default" disabled={unsaved} loading={check.isPending} onClick={() => check.mutate({})}>
          Check key
        </Button>
      </div>
    </div>
  );
}
