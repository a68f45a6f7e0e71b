import { ActionIcon, Button, Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { asApiError } from '../../api/error';
import { type Offer, offersPage } from '../../api/offers';
import { Money } from '../../parts/Money';
import { sentence } from '../../parts/text';
import { systemFor } from './request';

/** How many offers a request may name besides the first. */
const most = 9;

/** A chosen offer: its data once it is there, or why there is none. */
export interface Fallback {
  id: string;
  offer?: Offer;
  error?: unknown;
}

interface Props {
  offer: Offer;
  operatingSystem: string;
  /** Whether an image of the account's own is installed, which only some offers can do. */
  ownImage: boolean;
  chosen: Fallback[];
  onChange: (ids: string[]) => void;
  error?: string;
}

/** Offers to try, in order, if the first one fails to start or sells out. */
export function Fallbacks({ offer: o, operatingSystem, ownImage, chosen, onChange, error }: Props) {
  const similar = useQuery(offersPage({ search: o.gpuType, available: true, sort: ['price'], page: 1, limit: 100 }));
  const ids = chosen.map((c) => c.id);
  const choices = (similar.data?.rows ?? []).filter(
    (c) => c.id !== o.id && !ids.includes(c.id) && (c.capabilities.customImages || !ownImage),
  );
  const move = (from: number, by: number) => {
    const next = [...ids];
    const [id] = next.splice(from, 1);
    if (id) next.splice(from + by, 0, id);
    onChange(next);
  };
  return (
    <section className="panel" aria-labelledby="fallbacks-head">
      <div className="panel-head">
        <h2 id="fallbacks-head">Fallback offers</h2>
      </div>
      <div className="panel-body stack">
        <div className="small dim">
          Tried in this order if the offer above sells out or fails to start. You get one machine. Until it runs, the
          hold is the price of the most expensive offer.
        </div>
        {chosen.length > 0 && (
          <ol className="fallbacks">
            {chosen.map((c, i) => (
              <li key={c.id}>
                <div className="fallback">
                  <div style={{ minWidth: 0, flex: 1 }}>
                    {c.offer ? (
                      <Chosen offer={c.offer} operatingSystem={operatingSystem} ownImage={ownImage} />
                    ) : (
                      <Missing of={c} />
                    )}
                  </div>
                  <ActionIcon
                    variant="subtle"
                    color="gray"
                    disabled={i === 0}
                    aria-label={`Move ${labelOf(c)} up`}
                    onClick={() => move(i, -1)}
                  >
                    ↑
                  </ActionIcon>
                  <ActionIcon
                    variant="subtle"
                    color="gray"
                    disabled={i === chosen.length - 1}
                    aria-label={`Move ${labelOf(c)} down`}
                    onClick={() => move(i, 1)}
                  >
                    ↓
                  </ActionIcon>
                  <Button
                    size="compact-sm"
                    variant="subtle"
                    color="gray"
                    aria-label={`Remove ${labelOf(c)}`}
                    onClick={() => onChange(ids.filter((id) => id !== c.id))}
                  >
                    Remove
                  </Button>
                </div>
              </li>
            ))}
          </ol>
        )}
        {chosen.length >= most ? (
          <div role="alert" className="small refused" hidden={!error}>
            {error}
          </div>
        ) : (
          <Select
            aria-label="Add fallback offer"
            placeholder={
              similar.data && choices.length === 0
                ? `No other offer of ${o.gpuType} ${ownImage ? 'installs your own images' : 'is available'}`
                : 'Add fallback offer'
            }
            data={choices.map((c) => ({ value: c.id, label: `${nameOf(c)} · ${c.provider} · $${c.hourlyPrice}/hr` }))}
            value={null}
            onChange={(id) => id && onChange([...ids, id])}
            disabled={choices.length === 0}
            searchable
            error={error}
          />
        )}
      </div>
    </section>
  );
}

/** An offer of the list. */
function Chosen({ offer: o, operatingSystem, ownImage }: { offer: Offer; operatingSystem: string; ownImage: boolean }) {
  const system = ownImage ? operatingSystem : systemFor(o, operatingSystem);
  return (
    <>
      <Link to={`/offers/${o.id}`} className="plain-link">
        {nameOf(o)}
      </Link>
      <div className="cell-sub">
        {o.provider} · <Money usd={o.hourlyPrice} per="/hr" />
        {system !== operatingSystem && ` · ${system}`}
        {!o.available && ' · sold out now'}
      </div>
      {ownImage && !o.capabilities.customImages && (
        <div className="refused small">Cannot install your own image. Remove this offer or choose another system.</div>
      )}
    </>
  );
}

/** An offer of the list without data: it is loading, is gone, or could not be read. */
function Missing({ of: f }: { of: Fallback }) {
  if (!f.error) return <span className="dim">Loading offer…</span>;
  const error = asApiError(f.error);
  return (
    <>
      <span className="refused">{error.status === 404 ? 'No longer offered' : 'Could not load this offer'}</span>
      <div className="cell-sub">
        {error.status === 404 ? <span className="mono">{f.id}</span> : sentence(error.message)}
      </div>
    </>
  );
}

function labelOf(f: Fallback): string {
  return f.offer ? nameOf(f.offer) : `offer ${f.id}`;
}

function nameOf(o: Offer): string {
  return `${o.gpuCount} × ${o.gpuType} in ${o.regionName}`;
}
