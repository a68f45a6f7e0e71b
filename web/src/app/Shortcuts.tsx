import { lazy, Suspense, useEffect, useRef, useState } from 'react';
import { useNavigate } from 'react-router';

const ShortcutsDialog = lazy(() => import('./ShortcutsDialog'));

export const jumps: Record<string, [path: string, name: string]> = {
  h: ['/overview', 'Overview'],
  o: ['/offers', 'Offers'],
  d: ['/deployments', 'Deployments'],
  v: ['/volumes', 'Volumes'],
  s: ['/ssh-keys', 'SSH keys'],
  w: ['/wallet', 'Wallet'],
  k: ['/settings/api-keys', 'API keys'],
};

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest('input, textarea, select, [contenteditable], .xterm, [role="dialog"], [role="menu"]');
}

/** `/` focuses the page's search, `?` lists the shortcuts, `g` and a letter open a page. */
export function Shortcuts() {
  const [opened, setOpened] = useState(false);
  const navigate = useNavigate();
  const pressedG = useRef(0);
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey || isTyping(e.target)) return;
      const jump = jumps[e.key];
      if (jump && Date.now() - pressedG.current < 1500) {
        pressedG.current = 0;
        e.preventDefault();
        navigate(jump[0]);
      } else if (e.key === 'g') pressedG.current = Date.now();
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
  return <Suspense fallback={null}>{opened && <ShortcutsDialog onClose={() => setOpened(false)} />}</Suspense>;
}
