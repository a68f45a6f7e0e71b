import { Button } from '@mantine/core';
import { safeName, sizeText } from './fileNames';
import type { Transfer } from './transfers';

interface Props {
  of: Transfer[];
  onCancel: (id: number) => void;
  onDismiss: (id: number) => void;
}

/** The uploads and downloads of a tab, with their progress. */
export function Transfers({ of: list, onCancel, onDismiss }: Props) {
  if (list.length === 0) return null;
  return (
    <ul className="transfers" aria-label="File transfers">
      {list.map((t) => {
        const active = t.state === 'waiting' || t.state === 'running';
        const name = safeName(t.name);
        return (
          <li key={t.id}>
            <div style={{ minWidth: 0 }}>
              <div className="truncate">
                <b>
                  <bdi>{name}</bdi>
                </b>{' '}
                <span className={t.state === 'failed' ? 'error-text' : 'dim'} role="status">
                  {stateText(t)}
                </span>
              </div>
              {t.error && <div className="error-text">{t.error}</div>}
              {active && <progress aria-label={`Progress of ${name}`} value={t.sent} max={t.size || 1} />}
            </div>
            <Button
              size="compact-sm"
              variant="default"
              aria-label={`${active ? 'Cancel' : 'Dismiss'} ${name}`}
              onClick={() => (active ? onCancel(t.id) : onDismiss(t.id))}
            >
              {active ? 'Cancel' : 'Dismiss'}
            </Button>
          </li>
        );
      })}
    </ul>
  );
}

function stateText(t: Transfer): string {
  const upload = t.direction === 'upload';
  switch (t.state) {
    case 'waiting':
      return 'Waiting';
    case 'running':
      return t.size === null
        ? 'Starting'
        : `${upload ? 'Uploading' : 'Downloading'} ${sizeText(t.sent)} of ${sizeText(t.size)}`;
    case 'done':
      return upload ? 'Uploaded' : 'Downloaded';
    case 'failed':
      return upload ? 'Not uploaded' : 'Not downloaded';
    case 'canceled':
      return 'Canceled';
  }
}
