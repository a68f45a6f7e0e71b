import { Kbd, Modal } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { useNavigate } from 'react-router';

const jumps: Record<string, [string, string]> = {
  o: ['/offers', 'Offers'],
  d: ['/deployments', 'Deployments'],
  v: ['/volumes', 'Volumes'],
  s: ['/ssh-keys', 'SSH keys'],
  w: ['/wallet', 'Wallet'],
  k: ['/settings/api-keys', 'API Keys'],
};

function typing(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest('input, textarea, select, [contenteditable], .xterm, [role="dialog"], [role="menu"]');
}

/** `/` to the page's search, `?` for this list, `g` and a letter to go somewhere. */
export function Shortcuts() {
  const [opened, setOpened] = useState(false);
  const navigate = useNavigate();
  const wentG = useRef(0);
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
      const jump = jumps[e.key];
      if (jump && Date.now() - wentG.current < 1500) {
        wentG.current = 0;
        e.preventDefault();
        navigate(jump[0]);
      } else if (e.key === 'g') wentG.current = Date.now();
      else if (e.key === '?') setOpened(true);
      else if (e.key === '/') {
        const search = document.querySelector<HTMLInputElement>('input[type="search"]');
        if (!search) return;
        e.preventDefault();
        search.focus();
        search.select();
      }
    };
    const show = () => setOpened(true);
    window.addEventListener('keydown', press);
    window.addEventListener('billet:shortcuts', show);
    return () => {
      window.removeEventListener('keydown', press);
      window.removeEventListener('billet:shortcuts', show);
    };
  }, [navigate]);
  return (
    <Modal opened={opened} onClose={() => setOpened(false)} title="Keyboard shortcuts" size="sm">
      <dl style={{ display: 'grid', gridTemplateColumns: 'auto 1fr', gap: '10px 18px', margin: 0 }}>
        <dt>
          <Kbd>/</Kbd>
        </dt>
        <dd style={{ margin: 0 }}>Search on this page</dd>
        {Object.entries(jumps).map(([letter, [, name]]) => (
          <Jump key={letter} letter={letter} name={name} />
        ))}
        <dt>
          <Kbd>?</Kbd>
        </dt>
        <dd style={{ margin: 0 }}>This list</dd>
        <dt>
          <Kbd>Esc</Kbd>
        </dt>
        <dd style={{ margin: 0 }}>Close what is open</dd>
      </dl>
    </Modal>
  );
}

function Jump({ letter, name }: { letter: string; name: string }) {
  return (
    <>
      <dt className="nowrap">
        <Kbd>g</Kbd> <Kbd>{letter}</Kbd>
      </dt>
      <dd style={{ margin: 0 }}>{name}</dd>
    </>
  );
}
