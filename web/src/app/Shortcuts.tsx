import { lazy, Suspense, useEffect, useRef, useState } from 'react';
import { useNavigate } from 'react-router';

const ShortcutsDialog = lazy(() => import('./ShortcutsDialog'));
const Palette = lazy(() => import('./Palette'));

/** What opens the palette: Cmd on a Mac, where Ctrl+K deletes to the end of a line. */
export const onMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

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

/** Reports whether the keys open the palette. In the terminal Ctrl+K is the shell's. */
function isPalette(e: KeyboardEvent): boolean {
  if (e.key.toLowerCase() !== 'k' || e.altKey || e.shiftKey) return false;
  if (onMac) return e.metaKey && !e.ctrlKey;
  return e.ctrlKey && !e.metaKey && !(e.target as HTMLElement | null)?.closest('.xterm');
}

/** Opens the command palette. */
export function openPalette() {
  window.dispatchEvent(new CustomEvent('billet:palette'));
}

/**
 * Ctrl+K opens the command palette, `/` focuses the page's search, `?` lists the shortcuts, `g` and
 * a letter open a page.
 */
export function Shortcuts() {
  const [opened, setOpened] = useState(false);
  const [palette, setPalette] = useState(false);
  const navigate = useNavigate();
  const pressedG = useRef(0);
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (isPalette(e)) {
        e.preventDefault();
        setPalette((open) => !open);
        return;
      }
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
    const showPalette = () => setPalette(true);
    window.addEventListener('keydown', press);
    window.addEventListener('billet:shortcuts', show);
    window.addEventListener('billet:palette', showPalette);
    return () => {
      window.removeEventListener('keydown', press);
      window.removeEventListener('billet:shortcuts', show);
      window.removeEventListener('billet:palette', showPalette);
    };
  }, [navigate]);
  return (
    <Suspense fallback={null}>
      {opened && <ShortcutsDialog onClose={() => setOpened(false)} />}
      {palette && <Palette onClose={() => setPalette(false)} />}
    </Suspense>
  );
}
