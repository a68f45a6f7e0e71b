import './status.css';

type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'idle';

const tones: Record<string, Tone> = {
  running: 'good',
  ready: 'good',
  assigned: 'busy',
  draining: 'warn',
  inspecting: 'warn',
  validating: 'warn',
  erasing: 'warn',
  quarantined: 'bad',
  enrolled: 'idle',
  retired: 'idle',
  passed: 'good',
  warning: 'warn',
  available: 'good',
  attached: 'good',
  booked: 'good',
  approved: 'good',
  withdrawn: 'idle',
  rejected: 'bad',
  up: 'good',
  ended: 'idle',
  settled: 'good',
  active: 'good',
  enabled: 'good',
  delivered: 'good',
  sent: 'good',
  succeeded: 'good',
  refunded: 'warn',
  disputed: 'bad',
  suppressed: 'warn',
  proposed: 'warn',
  pending: 'busy',
  scheduled: 'busy',
  deploying: 'busy',
  creating: 'busy',
  attaching: 'busy',
  detaching: 'busy',
  terminating: 'warn',
  deleting: 'warn',
  degraded: 'warn',
  failing: 'warn',
  expiring: 'warn',
  open: 'warn',
  stopped: 'idle',
  terminated: 'idle',
  deleted: 'idle',
  revoked: 'idle',
  expired: 'idle',
  dismissed: 'idle',
  disabled: 'idle',
  failed: 'bad',
  paused: 'bad',
  interrupted: 'bad',
  down: 'bad',
};

const moving = new Set([
  'pending',
  'deploying',
  'creating',
  'attaching',
  'detaching',
  'terminating',
  'deleting',
  'inspecting',
  'validating',
  'erasing',
]);

/** Returns the color of a status. */
export function toneOf(value: string): Tone {
  return tones[value] ?? 'idle';
}

/** A status as text with a color, never the color alone. */
export function Status({ value, live = false }: { value: string; live?: boolean }) {
  return (
    <span
      className="status"
      data-tone={toneOf(value)}
      data-moving={moving.has(value) || undefined}
      aria-live={live ? 'polite' : undefined}
    >
      <span className="status-dot" aria-hidden="true" />
      {value}
    </span>
  );
}

/** A label for a kind rather than a state. */
export function Chip({ children, tone = 'idle' }: { children: React.ReactNode; tone?: Tone }) {
  return (
    <span className="chip" data-tone={tone}>
      {children}
    </span>
  );
}
