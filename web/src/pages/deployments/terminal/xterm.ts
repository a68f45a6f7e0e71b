// The terminal's screen: xterm with the page's fonts, keys and paste.

import { FitAddon } from '@xterm/addon-fit';
import { Terminal as XTerm } from '@xterm/xterm';
import { copyText } from '../../../parts/clipboard';
import { keyAction, platformOf } from './shortcuts';

interface Callbacks {
  /** Whether anything is selected. */
  onSelection: (selected: boolean) => void;
  /** A text that was pasted by keyboard, menu or the middle button. */
  onPaste: (text: string) => void;
  /** Input for the shell. */
  onData: (data: string) => void;
  onResize: (cols: number, rows: number) => void;
}

export function openXTerm(element: HTMLElement, on: Callbacks): { term: XTerm; close: () => void } {
  const font = getComputedStyle(document.body).getPropertyValue('--mantine-font-family-monospace');
  const term = new XTerm({
    fontFamily: font,
    fontSize: 14,
    cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
    scrollback: 5000,
    screenReaderMode: true,
    theme: { background: '#0e1114', foreground: '#e4e8eb', cursor: '#f4b042', selectionBackground: '#3b444d' },
  });
  const fit = new FitAddon();
  term.loadAddon(fit);
  term.open(element);
  fit.fit();
  let closed = false;
  // The cells were measured with the fallback font until the bundled one is there.
  void document.fonts.load(`14px ${font.split(',')[0]}`).then(() => {
    if (closed) return;
    term.options.fontFamily = `${font}, monospace`;
    fit.fit();
  });
  const observer = new ResizeObserver(() => fit.fit());
  observer.observe(element);
  const platform = platformOf(navigator.userAgent);
  term.attachCustomKeyEventHandler((e) => {
    const action = keyAction(e, term.hasSelection(), platform);
    if (action === 'shell') return true;
    // The browser pastes, and the event below follows.
    if (action === 'paste') return false;
    e.preventDefault();
    if (e.type !== 'keydown') return false;
    // The shell uses Tab, so that leaving by keyboard needs another key.
    if (action === 'exit') document.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]')?.focus();
    else if (term.hasSelection()) {
      copyText(term.getSelection()).catch(() => {});
      // The next Ctrl+C interrupts again.
      term.clearSelection();
    }
    return false;
  });
  const paste = (e: ClipboardEvent) => {
    // Before xterm, which sends it at once.
    e.preventDefault();
    e.stopPropagation();
    on.onPaste(e.clipboardData?.getData('text/plain') ?? '');
  };
  element.addEventListener('paste', paste, true);
  term.onSelectionChange(() => on.onSelection(term.hasSelection()));
  term.onData(on.onData);
  term.onResize(({ cols, rows }) => on.onResize(cols, rows));
  return {
    term,
    close: () => {
      closed = true;
      observer.disconnect();
      element.removeEventListener('paste', paste, true);
      term.dispose();
    },
  };
}
