import type { UseQueryResult } from '@tanstack/react-query';
import type { Schema } from '../../api/client';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';

type Preview = Schema['PriceRulePreview'];

/** How many changed offers are shown. */
const shown = 8;

/** What a price rule does to the offers. */
export function PriceRulePreview({ preview }: { preview: UseQueryResult<Preview, Error> }) {
  const { data } = preview;
  return (
    <section aria-label="Preview" aria-live="polite" className="price-preview">
      {preview.error ? <ErrorBox error={preview.error} retry={() => void preview.refetch()} /> : null}
      {!preview.error && !data && <p className="dim small">Computing the preview.</p>}
      {!preview.error && data && (
        <>
          <p className="small">{summary(data)}</p>
          {data.changes.length > 0 && (
            <table>
              <thead>
                <tr>
                  <th scope="col">Offer</th>
                  <th scope="col">Cost</th>
                  <th scope="col">Price now</th>
                  <th scope="col">New price</th>
                </tr>
              </thead>
              <tbody>
                {data.changes.slice(0, shown).map((c) => (
                  <tr key={c.offerId}>
                    <td>
                      {c.gpuCount} × {c.gpuType}
                      <span className="cell-sub wrap">
                        {c.provider} · {c.region}
                      </span>
                    </td>
                    <td>
                      <Money usd={c.cost} rate />
                    </td>
                    <td>{c.priceBefore === null ? 'Hidden' : <Money usd={c.priceBefore} rate />}</td>
                    <td>{c.priceAfter === null ? 'Hidden' : <Money usd={c.priceAfter} rate />}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
          {data.changed > shown && <p className="dim small">And {formatNumber(data.changed - shown)} more.</p>}
        </>
      )}
    </section>
  );
}

function summary(p: Preview): string {
  if (p.matching === 0) return 'The rule matches no current offer.';
  const earlier = p.matching - p.decided;
  const of = `The rule matches ${formatNumber(p.matching)} of ${formatNumber(p.offers)} offers`;
  const decided = earlier > 0 ? `. Earlier rules decide about ${formatNumber(earlier)} of them` : '';
  const changed =
    p.changed === 0
      ? 'No offer changes'
      : `${formatNumber(p.changed)} ${p.changed === 1 ? 'offer changes' : 'offers change'}`;
  return `${of}${decided}. ${changed}.`;
}
