import { Button, NumberInput } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import { useSend } from '../../api/hooks';
import type { Offer } from '../../api/offers';
import { ErrorBox } from '../../parts/ErrorBox';
import { Money } from '../../parts/Money';
import { sentence } from '../../parts/text';

/** Asks whether there are several machines such as the offer's, here or elsewhere. */
export function Capacity({ offer: o }: { offer: Offer }) {
  const [count, setCount] = useState(1);
  const check = useSend('post', '/api/v1/inventory/offers/check');
  const c = check.data;
  return (
    <details className="panel same">
      <summary>Capacity check</summary>
      <div className="panel-body stack">
        <div className="small dim">
          Machines with {o.gpuCount} × {o.gpuType} in all regions, by the providers' latest data. Nothing is reserved.
        </div>
        <div style={{ display: 'flex', gap: 8, alignItems: 'flex-end' }}>
          <NumberInput
            label="Machines"
            value={count}
            onChange={(n) => {
              setCount(Math.min(10_000, Math.max(1, Number(n) || 1)));
              check.reset(); // what it found was for the count before
            }}
            min={1}
            max={10_000}
            w={110}
          />
          <Button
            variant="default"
            loading={check.isPending}
            onClick={() => check.mutate({ body: { count, gpuType: o.gpuType, gpuCount: o.gpuCount } })}
          >
            Check capacity
          </Button>
        </div>
        <ErrorBox error={check.error} />
        {c && (
          <div role="status" className="stack">
            <div>
              <b>{c.enough ? 'Enough capacity.' : 'Not enough capacity.'}</b> {c.found}{' '}
              {c.found === 1 ? 'machine' : 'machines'} found
              {c.offers.length > 0 && (
                <>
                  , <Money usd={c.totalHourlyPrice} per="/hr" /> in total
                </>
              )}
              .{!c.certain && ' A provider does not report its stock, so there may be fewer.'}
            </div>
            {c.offers.length > 0 && (
              <ul className="capacity">
                {c.offers.map(({ offer, count: n }) => (
                  <li key={offer.id}>
                    {n} ×{' '}
                    <Link to={`/offers/${offer.id}`} className="link">
                      {offer.regionName}, {offer.provider}
                    </Link>{' '}
                    at <Money usd={offer.hourlyPrice} per="/hr" />
                  </li>
                ))}
              </ul>
            )}
            {c.shortfalls.length > 0 && (
              <ul className="capacity dim">
                {c.shortfalls.slice(0, 8).map((s) => (
                  <li key={s.region}>
                    {s.region}: {sentence(s.reason.replaceAll('_', ' '))}
                  </li>
                ))}
              </ul>
            )}
          </div>
        )}
      </div>
    </details>
  );
}
