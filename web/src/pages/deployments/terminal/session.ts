// What the end of a terminal session means, and whether something may still run in it.

export interface End {
  message: string;
  /** The shell's exit status; null where it reported none. */
  exitCode: number | null;
  /** The WebSocket's close code; 1006 where the connection broke off or timed out. */
  closeCode: number;
}

/** The close codes after which a retry makes sense: broken off, server restart, try again later. */
const temporary = new Set([1006, 1012, 1013]);

/**
 * Reports whether the connection was lost, rather than ended by the shell, the server or this page.
 */
export function isLost(end: End): boolean {
  return end.exitCode === null && temporary.has(end.closeCode);
}

/** The backoff in milliseconds: 1 s after the first failure, doubled each time, at most 15 s. */
export function backoff(failures: number): number {
  return Math.min(15_000, 1000 * 2 ** Math.max(0, failures - 1));
}

export function endText(end: End): string {
  if (end.exitCode !== null)
    return end.exitCode === 0 ? 'The shell exited.' : `The shell exited with code ${end.exitCode}.`;
  return end.message || 'The connection was closed.';
}

/**
 * Reports whether the text before the cursor is a shell prompt without input. A page cannot know
 * what a shell runs. Where this is false, something may be running, and leaving asks first.
 */
export function atPrompt(alternateScreen: boolean, beforeCursor: string): boolean {
  return !alternateScreen && /[$#%❯] *$/.test(beforeCursor);
}

/**
 * The name of this tab's shell on a machine. It survives a reload, and no other tab has it unless
 * the browser duplicates the tab.
 */
export function shellName(deployment: string, node: number): string {
  const key = `billet-shell:${deployment}:${node}`;
  const stored = sessionStorage.getItem(key);
  if (stored) return stored;
  const random = crypto.getRandomValues(new Uint8Array(6));
  const name = `billet-${[...random].map((b) => b.toString(16).padStart(2, '0')).join('')}`;
  sessionStorage.setItem(key, name);
  return name;
}

const plainKey = 'billet-plain-shell';

/** Whether shells end with their connection, by the user's choice in this browser. */
export const wantsPlain = () => localStorage.getItem(plainKey) !== null;

export function setWantsPlain(plain: boolean) {
  if (plain) localStorage.setItem(plainKey, '1');
  else localStorage.removeItem(plainKey);
}
