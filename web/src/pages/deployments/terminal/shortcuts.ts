// The keys that the terminal handles itself.

export interface Press {
  key: string;
  ctrlKey: boolean;
  shiftKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

export type Platform = 'mac' | 'windows' | 'other';

/**
 * What a key does: go to the shell, copy the selection, let the browser paste, or exit the
 * terminal.
 */
export type KeyAction = 'shell' | 'copy' | 'paste' | 'exit';

export function keyAction(e: Press, selected: boolean, platform: Platform): KeyAction {
  const key = e.key.toLowerCase();
  if (e.altKey) return 'shell';
  if (e.ctrlKey && !e.metaKey) {
    if (e.shiftKey && key === 'x') return 'exit';
    if (e.shiftKey && key === 'c') return 'copy';
    if (e.shiftKey && key === 'v') return 'paste';
    // Without a selection Ctrl+C interrupts, as in every terminal.
    if (key === 'c' && !e.shiftKey && selected && platform !== 'mac') return 'copy';
    if (key === 'v' && !e.shiftKey && platform === 'windows') return 'paste';
    if (key === 'insert' && selected) return 'copy';
  }
  if (e.shiftKey && !e.ctrlKey && !e.metaKey && key === 'insert') return 'paste';
  if (e.metaKey && !e.ctrlKey && platform === 'mac') {
    if (key === 'c' && selected) return 'copy';
    if (key === 'v') return 'paste';
  }
  return 'shell';
}

export function platformOf(userAgent: string): Platform {
  if (/Mac|iPhone|iPad/.test(userAgent)) return 'mac';
  return /Windows/.test(userAgent) ? 'windows' : 'other';
}
