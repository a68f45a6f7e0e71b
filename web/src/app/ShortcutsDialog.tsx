import { Kbd, Modal } from '@mantine/core';
import { Fragment, type ReactNode } from 'react';
import { jumps, onMac } from './Shortcuts';

/** The list of keyboard shortcuts. */
export default function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const shortcuts: [keys: ReactNode, text: string][] = [
    [
      <Fragment key="palette">
        <Kbd>{onMac ? '⌘' : 'Ctrl'}</Kbd> <Kbd>K</Kbd>
      </Fragment>,
      'Open command palette',
    ],
    [<Kbd key="/">/</Kbd>, 'Search this page'],
    ...Object.entries(jumps).map(([letter, [, name]]): [ReactNode, string] => [
      <Fragment key={letter}>
        <Kbd>g</Kbd> <Kbd>{letter}</Kbd>
      </Fragment>,
      `Go to ${name}`,
    ]),
    [<Kbd key="?">?</Kbd>, 'Show shortcuts'],
    [<Kbd key="Esc">Esc</Kbd>, 'Close dialog'],
  ];
  return (
    <Modal opened onClose={onClose} title="Keyboard shortcuts" size="sm">
      <dl style={{ display: 'grid', gridTemplateColumns: 'auto 1fr', gap: '10px 18px', margin: 0 }}>
        {shortcuts.map(([keys, text]) => (
          <Fragment key={text}>
            <dt className="nowrap">{keys}</dt>
            <dd style={{ margin: 0 }}>{text}</dd>
          </Fragment>
        ))}
      </dl>
    </Modal>
  );
}
