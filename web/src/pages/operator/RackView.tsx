import type { Schema } from '../../api/client';
import { compareNames } from '../../parts/locale';
import { Status, toneOf } from '../../parts/Status';
import './racks.css';

type Machine = Schema['Machine'];

/** Each server at its units in its rack, with its state as text and color. */
export function RackView({ machines }: { machines: Machine[] }) {
  const racks = new Map<string, Machine[]>();
  for (const m of machines) {
    if (m.rack && m.position > 0) racks.set(m.rack, [...(racks.get(m.rack) ?? []), m]);
  }
  if (racks.size === 0) return null;
  return (
    <div className="racks">
      {[...racks]
        .sort(([a], [b]) => compareNames(a, b))
        .map(([name, all]) => (
          <Rack key={name} name={name} machines={all} />
        ))}
    </div>
  );
}

function Rack({ name, machines }: { name: string; machines: Machine[] }) {
  const top = Math.max(...machines.map((m) => m.position + m.height - 1));
  const bottom = Math.min(...machines.map((m) => m.position));
  const units = Array.from({ length: top - bottom + 1 }, (_, i) => top - i);
  const sorted = [...machines].sort((a, b) => b.position - a.position);
  return (
    <section className="rack" aria-label={`Rack ${name}`}>
      <h2>Rack {name}</h2>
      <ol className="rack-units">
        {units.map((u) => (
          <li key={u} className="rack-unit" style={{ gridRow: top - u + 1 }} aria-hidden="true">
            {u}
          </li>
        ))}
        {sorted.map((m) => (
          <li
            key={m.id}
            className="rack-server"
            data-tone={toneOf(m.state)}
            style={{ gridRow: `${top - (m.position + m.height - 1) + 1} / span ${m.height}` }}
            title={m.reason || m.detail || undefined}
          >
            <strong>{m.name}</strong>
            <Status value={m.state} />
            <span className="cell-sub">
              {m.gpuCount}× {m.gpuType}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
