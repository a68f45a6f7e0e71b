import { Button } from '@mantine/core';
import { type PaymentMethod, usePaymentMethods } from '../../api/billing';
import { useSend, withId } from '../../api/hooks';
import { useConfirm } from '../../parts/confirm';
import { Loaded } from '../../parts/Loaded';
import { Panel } from '../../parts/Panel';
import { toast } from '../../parts/toast';
import { expiry, methodName } from './words';

/** The saved payment methods. */
export function PaymentMethods({ write }: { write: boolean }) {
  const methods = usePaymentMethods();
  const remove = useSend('delete', '/api/v1/inventory/wallet/payment-methods/{id}');
  const confirm = useConfirm();
  const askToDelete = (m: PaymentMethod) =>
    confirm({
      title: `Delete ${methodName(m)}?`,
      body: 'Automatic top-ups stop if it is the last one. Pending payments are not affected.',
      action: 'Delete payment method',
      danger: true,
      run: async () => {
        await remove.mutateAsync(withId(m.id));
        toast(`${methodName(m)} deleted`);
      },
    });
  return (
    <Panel title="Payment methods">
      <Loaded query={methods}>
        {(all) =>
          all.length === 0 ? (
            <div className="dim">None saved. A top-up can save the payment method that paid it.</div>
          ) : (
            <ul className="billing-list">
              {all.map((m) => (
                <li key={m.id} className="card-row">
                  <span>
                    <b>{methodName(m)}</b> <span className="small dim">{expiry(m)}</span>
                  </span>
                  {write && (
                    <Button
                      size="compact-sm"
                      variant="default"
                      onClick={() => askToDelete(m)}
                      aria-label={`Delete ${methodName(m)}`}
                    >
                      Delete
                    </Button>
                  )}
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Panel>
  );
}
