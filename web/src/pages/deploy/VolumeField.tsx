import { Checkbox } from '@mantine/core';
import type { Offer } from '../../api/offers';
import { useCan } from '../../api/session';
import { useVolumes } from '../../api/volumes';
import { size } from '../offers/cells';

interface Props {
  offer: Offer;
  chosen: string[];
  onChange: (ids: string[]) => void;
  error?: string;
}

/** The available volumes of the offer's provider and region. */
export function VolumeField({ offer: o, chosen, onChange, error }: Props) {
  const can = useCan();
  const volumes = useVolumes(can('volumes:read'));
  const nearby = (volumes.data ?? []).filter((v) => v.provider === o.provider && v.region === o.region);
  const available = nearby.filter((v) => v.status === 'available' || chosen.includes(v.id));
  return (
    <section className="panel" aria-labelledby="volumes-head">
      <div className="panel-head">
        <h2 id="volumes-head">Volumes</h2>
      </div>
      <div className="panel-body stack">
        {available.length > 0 ? (
          <Checkbox.Group value={chosen} onChange={onChange} error={error} aria-labelledby="volumes-head">
            <div className="choices">
              {available.map((v) => (
                <Checkbox.Card key={v.id} value={v.id} className="choice">
                  <Checkbox.Indicator size="xs" />
                  <span style={{ minWidth: 0 }}>
                    <span className="cell-main">{v.name}</span>
                    <span className="cell-sub">{size(v.sizeGb)}</span>
                  </span>
                </Checkbox.Card>
              ))}
            </div>
          </Checkbox.Group>
        ) : (
          <div className="dim small">
            {nearby.length > 0
              ? 'All your volumes in this region are attached.'
              : `No volumes in ${o.regionName} (${o.provider}). You can attach one later.`}
            {error && <div style={{ color: 'var(--mantine-color-error)' }}>{error}</div>}
          </div>
        )}
      </div>
    </section>
  );
}
